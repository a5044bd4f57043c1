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

#[doc(hidden)]
pub struct FieldInfo {
    pub(crate) container: TypeId,
    pub(crate) field: TypeId,
    offset: u32,
    pub(crate) name: &'static str,
}

opaque_debug!(FieldInfo);

impl FieldInfo {
    #[inline(always)]
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

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
    pub const unsafe fn new<N: FieldName + Copy>(_name: N, _place: fn(&mut C) -> *mut U) -> Self {
        Field {
            info: const {
                &FieldInfo {
                    container: TypeId::of::<C>(),
                    field: TypeId::of::<U>(),
                    offset: {
                        assert!(
                            size_of::<C>() <= u32::MAX as usize,
                            "a state with fields to project to has 4 GiB or more"
                        );
                        N::OFFSET as u32
                    },
                    name: N::NAME,
                }
            },
            container: PhantomData,
            field: PhantomData,
        }
    }
}

/// Names a field of a state: `field!(Foo, http)`, for [`Batch::project`](crate::Batch::project).
///
/// The field must be one that safe code can borrow: not one of a union, nor one of a packed struct that may be
/// unaligned.
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
        // Safe code, so that the compiler refuses what a batch could not give a closure either. The borrow has a line
        // of its own: there it is not coerced, and `*mut` is invariant, so the type is the field's own.
        let place = |container: &mut $container| {
            let field = &mut container.$field;
            &raw mut *field
        };
        // SAFETY: R6: the offset and the place are of the same field.
        let field: $crate::Field<$container, _> = unsafe { $crate::Field::new(Name, place) };
        field
    }};
}
