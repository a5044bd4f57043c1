//! What a batch works on: the whole state, or a field of a field of it.
//!
//! A shape is a path of fields, kept as the number of its last field; the path is interned, so that two batches have
//! the same shape exactly if the numbers are the same. Each node of the trie has room for one field, since programs
//! have more points than fields to project to.

use core::any::TypeId;

use crate::{
    error::Fault,
    frame::Frame,
    project::FieldInfo,
    sync::{AtomicPtr, AtomicU16, Ordering},
};

/// A path of fields from a machine's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape(u16);

impl Shape {
    /// The whole state.
    pub(crate) const WHOLE: Shape = Shape(0);

    /// Of a batch that nothing is known of but that it is empty.
    pub(crate) const UNKNOWN: Shape = Shape(u16::MAX);

    pub(crate) fn is_known(self) -> bool {
        self != Shape::UNKNOWN
    }

    pub(crate) fn index(self) -> u16 {
        self.0
    }

    pub(crate) fn from_index(index: u16) -> Self {
        Shape(index)
    }
}

/// One interned field, in a node's storage.
pub(crate) struct Projection {
    field: AtomicPtr<FieldInfo>,
    outer: AtomicU16,
}

impl Projection {
    #[cfg(not(loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each node is what is wanted"
    )]
    pub(crate) const EMPTY: Projection = Projection {
        field: AtomicPtr::new(core::ptr::null_mut()),
        outer: AtomicU16::new(0),
    };

    #[cfg(loom)]
    pub(crate) fn empty() -> Projection {
        Projection {
            field: AtomicPtr::new(core::ptr::null_mut()),
            outer: AtomicU16::new(0),
        }
    }
}

impl Frame {
    fn projection(&self, shape: Shape) -> &Projection {
        &self.node(shape.0).projection
    }

    /// The last field of the path; `None` for the whole state.
    fn last_field(&self, shape: Shape) -> Option<&'static FieldInfo> {
        if shape == Shape::WHOLE {
            return None;
        }
        // ORDERING: Acquire; the partner is the Release store in `intern`.
        let field = self.projection(shape).field.load(Ordering::Acquire);
        // SAFETY: R1: the pointer is null or was made from a `&'static FieldInfo` in `intern`.
        unsafe { field.as_ref() }
    }

    /// The path with one more field.
    #[inline]
    pub(crate) fn projected(
        &self,
        outer: Shape,
        field: &'static FieldInfo,
    ) -> Result<Shape, Fault> {
        let known = self.growth.shapes();
        for index in 1..known {
            let shape = Shape(index);
            if self.is_projection(shape, outer, field) {
                return Ok(shape);
            }
        }
        self.intern(outer, field)
    }

    fn is_projection(&self, shape: Shape, outer: Shape, field: &FieldInfo) -> bool {
        self.projection(shape).outer.load(Ordering::Relaxed) == outer.0
            && self
                .last_field(shape)
                .is_some_and(|known| known.same(field))
    }

    #[cold]
    fn intern(&self, outer: Shape, field: &'static FieldInfo) -> Result<Shape, Fault> {
        let extending = self.growth.extend();
        let index = self.growth.shapes();
        for index in 1..index {
            if self.is_projection(Shape(index), outer, field) {
                return Ok(Shape(index));
            }
        }
        if index as usize >= self.capacity.nodes() {
            return Err(Fault::ShapesExhausted {
                capacity: self.capacity.nodes() - 1,
            });
        }
        let projection = self.projection(Shape(index));
        projection.outer.store(outer.0, Ordering::Relaxed);
        // ORDERING: Release; the partner is the Acquire load in `last_field`.
        let pointer = core::ptr::from_ref(field).cast_mut();
        projection.field.store(pointer, Ordering::Release);
        extending.count_shape();
        Ok(Shape(index))
    }

    /// The path without its last field, if that is this one.
    #[inline]
    pub(crate) fn unprojected(&self, shape: Shape, field: &FieldInfo) -> Option<Shape> {
        let last = self.last_field(shape)?;
        last.same(field)
            .then(|| Shape(self.projection(shape).outer.load(Ordering::Relaxed)))
    }

    /// How far into the state the path leads.
    pub(crate) fn shape_offset(&self, mut shape: Shape) -> u32 {
        let mut offset = 0;
        while let Some(field) = self.last_field(shape) {
            offset += field.offset as u32;
            shape = Shape(self.projection(shape).outer.load(Ordering::Relaxed));
        }
        offset
    }

    /// The type that the path leads to.
    pub(crate) fn shape_type(&self, shape: Shape) -> TypeId {
        self.last_field(shape)
            .map_or(self.state.id, |field| field.field)
    }

    /// What to call it in an error.
    pub(crate) fn shape_name(&self, shape: Shape) -> &'static str {
        self.last_field(shape)
            .map_or(self.state.name, |field| field.name)
    }
}
