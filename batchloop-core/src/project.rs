//! Fields of states: how a sub-machine works on a part of a state without knowing the whole.

use core::{any::TypeId, fmt, marker::PhantomData};

/// A field of a state, made by [`field!`](crate::field).
pub struct Field<C, U> {
    pub(crate) info: &'static FieldInfo,
    types: PhantomData<fn(C) -> U>,
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

#[doc(hidden)]
pub struct FieldInfo {
    pub(crate) container: TypeId,
    pub(crate) field: TypeId,
    pub(crate) offset: usize,
    pub(crate) name: &'static str,
}

opaque_debug!(FieldInfo);

impl FieldInfo {
    pub(crate) fn same(&self, other: &FieldInfo) -> bool {
        core::ptr::eq(self, other)
            || (self.container == other.container
                && self.field == other.field
                && self.offset == other.offset)
    }
}

/// What the macro knows of a field besides its types.
#[doc(hidden)]
pub trait FieldName {
    const OFFSET: usize;
    const NAME: &'static str;
}

impl<C: 'static, U: 'static> Field<C, U> {
    /// # Safety
    ///
    /// `N::OFFSET` is the offset in `C` of a field of type `U`: R6.
    #[doc(hidden)]
    pub const unsafe fn new<N: FieldName + Copy>(_name: N, _place: fn(&C) -> *const U) -> Self {
        Field {
            info: const {
                assert!(
                    N::OFFSET % align_of::<U>() == 0 && align_of::<C>() >= align_of::<U>(),
                    "a field of a packed struct has no reference"
                );
                &FieldInfo {
                    container: TypeId::of::<C>(),
                    field: TypeId::of::<U>(),
                    offset: N::OFFSET,
                    name: N::NAME,
                }
            },
            types: PhantomData,
        }
    }
}

/// Names a field of a state: `field!(Foo, http)`, for [`Batch::project`](crate::Batch::project).
#[macro_export]
macro_rules! field {
    ($container:ty, $field:tt) => {{
        #[derive(Clone, Copy)]
        struct Name;
        impl $crate::FieldName for Name {
            const OFFSET: usize = ::core::mem::offset_of!($container, $field);
            const NAME: &'static str = ::core::concat!(
                ::core::stringify!($container),
                ".",
                ::core::stringify!($field)
            );
        }
        // SAFETY: R6: the offset and the place are of the same field, and a raw reference is never coerced, so the
        // type is the field's own.
        unsafe {
            $crate::Field::new(Name, |container: &$container| {
                &raw const container.$field
            })
        }
    }};
}
