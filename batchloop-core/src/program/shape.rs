//! What a batch works on: the whole state, or a field of a field of it.
//!
//! A shape is a path of fields, kept as the number of its last field; the path is interned, so that two batches have
//! the same shape exactly if the numbers are the same. Each node of the trie has room for one field, since programs
//! have more points than fields to project to.

use core::{
    any::{TypeId, type_name},
    marker::PhantomData,
    num::NonZeroU16,
};

use crate::{
    ground::sync::{AtomicPtr, AtomicU16, Ordering},
    program::field::FieldInfo,
};

/// A path of fields from a machine's state: one more than the number of the node that keeps its last field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape(NonZeroU16);

impl Shape {
    /// The whole state.
    pub(crate) const WHOLE: Shape = Shape(NonZeroU16::MIN);

    pub(super) fn kept_at(node: usize) -> Option<Shape> {
        let number = u16::try_from(node + 1).ok()?;
        NonZeroU16::new(number).map(Shape)
    }

    /// The number of the node that keeps its last field. The whole state has none, and that of the root.
    pub(crate) fn node(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Holds a shape: none, when all its bytes are zero.
#[derive(Default)]
pub(super) struct ShapeCell(AtomicU16);

impl ShapeCell {
    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> Option<Shape> {
        NonZeroU16::new(self.0.load(order)).map(Shape)
    }

    #[inline(always)]
    pub(crate) fn store(&self, shape: Shape, order: Ordering) {
        self.0.store(shape.0.get(), order);
    }
}

/// How far into the states of a machine a `U` lies. It is used with the machine that it was made for: R6.
pub(crate) struct Offset<U> {
    bytes: u32,
    value: PhantomData<fn(U) -> U>,
}

impl<U> Clone for Offset<U> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<U> Copy for Offset<U> {}

impl<U> Offset<U> {
    /// # Safety
    ///
    /// R6: so far into the states of the machine that it is used with lies a `U`.
    #[inline(always)]
    pub(crate) unsafe fn new(bytes: u32) -> Self {
        Offset {
            bytes,
            value: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn bytes(self) -> u32 {
        self.bytes
    }
}

/// A type of what batches work on.
pub(crate) struct Kind {
    pub(super) id: TypeId,
    /// Its name, for an error.
    pub(crate) name: fn() -> &'static str,
}

impl Kind {
    pub(crate) const fn of<U: 'static>() -> Self {
        Kind {
            id: TypeId::of::<U>(),
            name: type_name::<U>,
        }
    }
}

/// One interned field, in a node's storage.
#[derive(Default)]
pub(super) struct Projection {
    field: AtomicPtr<FieldInfo>,
    outer: ShapeCell,
}

impl Projection {
    pub(super) fn field(&self) -> Option<&'static FieldInfo> {
        // ORDERING: Acquire; the partner is the Release store in `set`.
        let field = self.field.load(Ordering::Acquire);
        // SAFETY: R1: the pointer is null or was made from a `&'static FieldInfo` in `set`.
        unsafe { field.as_ref() }
    }

    pub(super) fn outer(&self) -> Option<Shape> {
        // ORDERING: Relaxed; published with the field.
        self.outer.load(Ordering::Relaxed)
    }

    pub(super) fn is(&self, outer: Shape, field: &FieldInfo) -> bool {
        self.outer() == Some(outer) && self.field().is_some_and(|known| known.same(field))
    }

    pub(crate) fn set(&self, outer: Shape, field: &'static FieldInfo) {
        self.outer.store(outer, Ordering::Relaxed);
        let pointer = core::ptr::from_ref(field).cast_mut();
        // ORDERING: Release; the partner is the Acquire load in `field`.
        self.field.store(pointer, Ordering::Release);
    }
}
