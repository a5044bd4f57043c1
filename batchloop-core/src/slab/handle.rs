//! References to states that know when they are stale.

use core::{fmt, hash, marker::PhantomData};

use crate::slab::lifecycle::VERSION_BITS;

/// A slot and a version: the only thing that other subsystems may hold of a state.
///
/// It does not keep the state alive. Once the state has ended, every use returns [`Stale`](crate::Stale), even when
/// the slot has a new tenant. The version has 56 bits on 64-bit targets and 24 bits on 32-bit ones; see
/// [`Wrap`](crate::slab::Wrap) for what happens at its end.
///
/// A handle belongs to the machine that made it. On another machine of the same type it names some other state or
/// none; that is wrong, but never unsound.
///
/// ```
/// # use batchloop_core::*;
/// struct Call { to: &'static str }
///
/// /// Calls by what they are for, to be cancelled by it.
/// let mut calls: Vec<(&str, Handle<Call>)> = Vec::new();
/// let machine: Machine<Call> = Machine::heap(Capacity::slots(4));
/// for to in ["Ann", "Ben"] {
///     calls.push((to, machine.allocate(Call { to })?));
/// }
/// for (to, handle) in &calls {
///     if *to == "Ben" {
///         machine.release(*handle)?;
///     }
/// }
/// let still: Vec<bool> = calls.iter().map(|(_, handle)| machine.is_live(*handle)).collect();
/// assert_eq!(still, [true, false]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "key")]
#[doc(alias = "generation")]
pub struct Handle<T> {
    pub(crate) slot: u32,
    pub(crate) version: Version,
    state: PhantomData<fn(T) -> T>,
}

/// The version of a slot: odd while it is live.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Version(pub(crate) usize);

impl Version {
    /// How many bits there are on this target.
    pub const BITS: u32 = VERSION_BITS;
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl<T> Handle<T> {
    pub(crate) fn new(slot: u32, version: usize) -> Self {
        Handle {
            slot,
            version: Version(version),
            state: PhantomData,
        }
    }

    /// The index of the slot, from 0.
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// The version of the slot when it was allocated.
    pub fn version(self) -> Version {
        self.version
    }

    /// The handle squeezed into 64 bits.
    pub fn token(self) -> Token {
        Token::new(self.slot, self.version.0)
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot && self.version == other.version
    }
}

impl<T> Eq for Handle<T> {}

impl<T> hash::Hash for Handle<T> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.slot.hash(state);
        self.version.hash(state);
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}{}", self.slot, self.version)
    }
}

/// A handle as 64 bits, for interfaces that carry a `u64` through a kernel or a device.
///
/// The low half is the slot; the high half is the low 32 bits of the version. So a token that is kept while its slot
/// is reused exactly 2³¹ times is taken for the new tenant's; a token should not live longer than what it stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token(u64);

impl Token {
    pub(crate) fn new(slot: u32, version: usize) -> Self {
        Token(u64::from(slot) | ((version as u64) << 32))
    }

    /// The token that [`to_u64`](Self::to_u64) took apart. Any value is legal; most name no state.
    pub const fn from_u64(bits: u64) -> Self {
        Token(bits)
    }

    /// The token as bits.
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    pub(super) fn matches(self, version: usize) -> bool {
        (self.0 >> 32) as u32 == version as u32
    }
}
