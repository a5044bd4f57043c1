//! What a batch works on: the whole state, or a field of a field of it.
//!
//! A shape is a path of fields, kept as the number of its last field; the path is interned, so that two batches have
//! the same shape exactly if the numbers are the same. Each node of the trie has room for one field, since programs
//! have more points than fields to project to.

use core::{any::TypeId, marker::PhantomData, num::NonZeroU16};

use crate::{
    access::Access,
    error::Fault,
    frame::Frame,
    machine::Machine,
    project::{Field, FieldInfo},
    sync::{AtomicPtr, AtomicU16, Ordering},
};

/// A path of fields from a machine's state: one more than the number of the node that keeps its last field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape(NonZeroU16);

impl Shape {
    /// The whole state.
    const WHOLE: Shape = Shape(NonZeroU16::MIN);

    fn kept_at(node: usize) -> Option<Shape> {
        let number = u16::try_from(node + 1).ok()?;
        NonZeroU16::new(number).map(Shape)
    }

    /// The number of the node that keeps its last field. The whole state has none, and that of the root.
    fn node(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Holds a shape: none, when all its bytes are zero.
pub(crate) struct ShapeCell(AtomicU16);

impl ShapeCell {
    #[cfg(not(loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each node is what is wanted"
    )]
    pub(crate) const EMPTY: ShapeCell = ShapeCell(AtomicU16::new(0));

    #[cfg(loom)]
    pub(crate) fn empty() -> ShapeCell {
        ShapeCell(AtomicU16::new(0))
    }

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
    unsafe fn new(bytes: u32) -> Self {
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

/// Where a `U` lies in the states of a machine: the shape, and the offset that its fields add up to.
pub(crate) struct Path<U> {
    shape: Shape,
    offset: Offset<U>,
}

impl<U> Clone for Path<U> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<U> Copy for Path<U> {}

impl<T: 'static> Path<T> {
    /// The whole state.
    #[inline(always)]
    pub(crate) fn whole<A: Access>(_machine: &Machine<T, A>) -> Self {
        Path {
            shape: Shape::WHOLE,
            // SAFETY: R6: the machine's states are `T`s.
            offset: unsafe { Offset::new(0) },
        }
    }
}

impl<U> Path<U> {
    #[inline(always)]
    pub(crate) fn shape(self) -> Shape {
        self.shape
    }

    #[inline(always)]
    pub(crate) fn offset(self) -> Offset<U> {
        self.offset
    }
}

/// One interned field, in a node's storage.
pub(crate) struct Projection {
    field: AtomicPtr<FieldInfo>,
    outer: ShapeCell,
}

impl Projection {
    #[cfg(not(loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each node is what is wanted"
    )]
    pub(crate) const EMPTY: Projection = Projection {
        field: AtomicPtr::new(core::ptr::null_mut()),
        outer: ShapeCell::EMPTY,
    };

    #[cfg(loom)]
    pub(crate) fn empty() -> Projection {
        Projection {
            field: AtomicPtr::new(core::ptr::null_mut()),
            outer: ShapeCell::empty(),
        }
    }

    fn field(&self) -> Option<&'static FieldInfo> {
        // ORDERING: Acquire; the partner is the Release store in `set`.
        let field = self.field.load(Ordering::Acquire);
        // SAFETY: R1: the pointer is null or was made from a `&'static FieldInfo` in `set`.
        unsafe { field.as_ref() }
    }

    fn outer(&self) -> Option<Shape> {
        // ORDERING: Relaxed; published with the field.
        self.outer.load(Ordering::Relaxed)
    }

    fn is(&self, outer: Shape, field: &FieldInfo) -> bool {
        self.outer() == Some(outer) && self.field().is_some_and(|known| known.same(field))
    }

    fn set(&self, outer: Shape, field: &'static FieldInfo) {
        self.outer.store(outer, Ordering::Relaxed);
        let pointer = core::ptr::from_ref(field).cast_mut();
        // ORDERING: Release; the partner is the Acquire load in `field`.
        self.field.store(pointer, Ordering::Release);
    }
}

impl Frame {
    /// The last field of the path, and the path without it; `None` for the whole state.
    fn last_field(&self, shape: Shape) -> Option<(&'static FieldInfo, Shape)> {
        if shape == Shape::WHOLE {
            return None;
        }
        let projection = &self.nodes.get(shape.node())?.projection;
        Some((projection.field()?, projection.outer()?))
    }

    /// The path with one more field.
    #[inline]
    pub(crate) fn projected<U, V>(
        &self,
        path: Path<U>,
        field: Field<U, V>,
    ) -> Result<Path<V>, Fault> {
        let shape = match self.find_shape(path.shape, field.info) {
            Some(shape) => shape,
            None => self.intern(path.shape, field.info)?,
        };
        let bytes = path.offset.bytes + field.info.offset();
        // SAFETY: R6: so far into each `U` lies a `V`.
        let offset = unsafe { Offset::new(bytes) };
        Ok(Path { shape, offset })
    }

    fn find_shape(&self, outer: Shape, field: &FieldInfo) -> Option<Shape> {
        let kept = self.nodes.get(1..self.growth.shapes())?;
        let is_it = |node: &crate::trie::Node| node.projection.is(outer, field);
        Shape::kept_at(1 + kept.iter().position(is_it)?)
    }

    #[cold]
    fn intern(&self, outer: Shape, field: &'static FieldInfo) -> Result<Shape, Fault> {
        let extending = self.growth.extend();
        if let Some(shape) = self.find_shape(outer, field) {
            return Ok(shape);
        }
        let index = self.growth.shapes();
        let room = self.nodes.get(index).zip(Shape::kept_at(index));
        let Some((node, shape)) = room else {
            return Err(Fault::ShapesExhausted {
                field: field.name,
                capacity: self.nodes.len() - 1,
            });
        };
        node.projection.set(outer, field);
        extending.count_shape();
        Ok(shape)
    }

    /// The path without its last field, if that is this one.
    #[inline]
    pub(crate) fn unprojected<C, U>(&self, path: Path<U>, field: Field<C, U>) -> Option<Path<C>> {
        let (last, shape) = self.last_field(path.shape)?;
        let bytes = path.offset.bytes;
        last.same(field.info).then(|| Path {
            shape,
            // SAFETY: R6: the `U` was found by this field of a `C`.
            offset: unsafe { Offset::new(bytes - field.info.offset()) },
        })
    }

    /// The path of this shape, if it leads to a `U`.
    pub(crate) fn path_to<U: 'static>(&self, shape: Shape) -> Option<Path<U>> {
        let bytes = self.offset_to(shape, TypeId::of::<U>())?;
        Some(Path {
            shape,
            // SAFETY: R6: the types are the same.
            offset: unsafe { Offset::new(bytes) },
        })
    }

    /// How far into the state the shape leads, if it leads to this type. Compiled once for all types.
    #[inline(never)]
    fn offset_to(&self, shape: Shape, wanted: TypeId) -> Option<u32> {
        let last = self.last_field(shape);
        let found = last.map_or(self.state.id, |(field, _)| field.field);
        (found == wanted).then(|| self.offset_of(shape))
    }

    fn offset_of(&self, mut shape: Shape) -> u32 {
        let mut offset = 0;
        while let Some((field, outer)) = self.last_field(shape) {
            offset += field.offset();
            shape = outer;
        }
        offset
    }

    /// What to call it in an error.
    pub(crate) fn shape_name(&self, shape: Shape) -> &'static str {
        self.last_field(shape)
            .map_or(self.state.name, |(field, _)| field.name)
    }
}
