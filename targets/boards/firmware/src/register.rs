//! Registers in memory.

use core::marker::PhantomData;

/// A device's register, of `W` bits: `u8` or `u32`.
#[derive(Debug)]
pub struct Register<W = u32> {
    address: usize,
    width: PhantomData<fn(W) -> W>,
}

impl<W> Register<W> {
    /// The register at this address.
    ///
    /// # Safety
    ///
    /// B1: it is a register of the board, and using it has no effect on memory that the program uses.
    pub const unsafe fn at(address: usize) -> Self {
        Register {
            address,
            width: PhantomData,
        }
    }

    /// What the register says.
    pub fn read(&self) -> W {
        let pointer = core::ptr::with_exposed_provenance::<W>(self.address);
        // SAFETY: B1: the promise of the code that made it.
        unsafe { pointer.read_volatile() }
    }

    /// Tells the register.
    pub fn write(&self, value: W) {
        let pointer = core::ptr::with_exposed_provenance_mut::<W>(self.address);
        // SAFETY: B1: as above.
        unsafe { pointer.write_volatile(value) };
    }
}
