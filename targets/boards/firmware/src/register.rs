//! Registers in memory.

/// A device's register of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Register(usize);

impl Register {
    /// The register at this address.
    ///
    /// # Safety
    ///
    /// B1: it is a register of the board, and using it has no effect on memory that the program uses.
    pub const unsafe fn at(address: usize) -> Self {
        Register(address)
    }

    /// What the register says.
    pub fn read(self) -> u32 {
        let pointer = core::ptr::with_exposed_provenance::<u32>(self.0);
        // SAFETY: B1: the promise of whoever made it.
        unsafe { pointer.read_volatile() }
    }

    /// Tells the register.
    pub fn write(self, value: u32) {
        let pointer = core::ptr::with_exposed_provenance_mut::<u32>(self.0);
        // SAFETY: B1: as above.
        unsafe { pointer.write_volatile(value) };
    }
}
