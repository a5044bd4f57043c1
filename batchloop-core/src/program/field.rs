//! Fields of states: how a sub-machine works on a part of a state without knowing the whole.

use core::{any::TypeId, fmt, marker::PhantomData};

/// A field of a state, made by [`field!`](crate::field).
pub struct Field<C, U> {
    pub(crate) info: &'static FieldInfo,
    /// Exactly these two types: with a supertype, `project` would write what the state must not hold.
    container: PhantomData<fn(C) -> C>,
    field: PhantomData<fn(U) -> U>,
}

impl<C, U> Clone for Field<C, U> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, U> Copy for Field<C, U> {}

impl<C, U> fmt::Debug for Field<C, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info.name)
    }
}

/// A field, without its types.
pub(crate) struct FieldInfo {
    container: TypeId,
    pub(super) field: TypeId,
    offset: u32,
    pub(crate) name: &'static str,
}

impl FieldInfo {
    #[inline(always)]
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    pub(super) fn same(&self, other: &FieldInfo) -> bool {
        core::ptr::eq(self, other)
            || (self.container == other.container
                && self.field == other.field
                && self.offset == other.offset)
    }
}

/// What [`field!`](crate::field) makes, once for each place where it stands.
#[doc(hidden)]
pub struct FieldAt<C, U> {
    info: FieldInfo,
    container: PhantomData<fn(C) -> C>,
    field: PhantomData<fn(U) -> U>,
}

opaque_debug!(FieldAt<C, U>);

impl<C: 'static, U: 'static> FieldAt<C, U> {
    /// # Safety
    ///
    /// R6: `offset` is that of a field of type `U` in `C`.
    #[doc(hidden)]
    pub const unsafe fn new(
        offset: usize,
        name: &'static str,
        _place: fn(&mut C) -> *mut U,
    ) -> Self {
        // The offsets of fields inside of fields add up to no more than the size of the whole.
        assert!(
            size_of::<C>() as u64 <= u32::MAX as u64,
            "the state is too large to project to its fields: they must lie in its first 4 GiB"
        );
        FieldAt {
            info: FieldInfo {
                container: TypeId::of::<C>(),
                field: TypeId::of::<U>(),
                offset: offset as u32,
                name,
            },
            container: PhantomData,
            field: PhantomData,
        }
    }

    #[doc(hidden)]
    pub const fn field(&'static self) -> Field<C, U> {
        Field {
            info: &self.info,
            container: PhantomData,
            field: PhantomData,
        }
    }
}

/// Names a field of a state: `field!(Foo, http)`, for [`Batch::project`](crate::Batch::project).
///
/// The container may be any type, `Self` and generic ones too, and the field one of a tuple, or a field of a field:
/// `field!(Self, http)`, `field!(Retry<Call>, call)`, `field!((u32, Call), 1)`, `field!(Foo, http.call)`.
///
/// The field must be one that safe code can borrow: not one of a union, nor one of a packed struct that may be
/// unaligned. A container of 4 GiB or more is an error when the program is compiled:
///
/// ```compile_fail,E0080
/// # use batchloop_core::*;
/// struct Huge { room: [u8; 1 << 32], reply: u8 }
///
/// fn entry(cx: &mut Turn<'_, Huge>) {
///     let replies = cx.arrivals().project(field!(Huge, reply));
///     replies.release();
/// }
/// # let machine: Machine<Huge> = Machine::heap(Capacity::slots(1));
/// # machine.driver().unwrap().turn(entry).unwrap();
/// ```
#[macro_export]
macro_rules! field {
    ($container:ty, $($field:tt)+) => {
        const {
            // Safe code, so that the compiler refuses what a batch could not give a closure either. The reference is not
            // coerced before it is followed, and `*mut` is invariant, so the type is the field's own.
            let batchloop_place: fn(&mut $container) -> *mut _ =
                |batchloop_container| &raw mut *&mut batchloop_container.$($field)+;
            // SAFETY: R6: the offset and the place are of the same field.
            &unsafe {
                $crate::__private::FieldAt::<$container, _>::new(
                    $crate::__private::core::mem::offset_of!($container, $($field)+),
                    $crate::__private::core::concat!(
                        $crate::__private::core::stringify!($container),
                        ".",
                        $crate::__private::core::stringify!($($field)+)
                    ),
                    batchloop_place,
                )
            }
        }
        .field()
    };
}
