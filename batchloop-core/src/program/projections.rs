//! Projecting a batch to a field, and back.

use core::any::TypeId;

use crate::program::{
    fault::Fault,
    field::{Field, FieldInfo},
    shape::{Path, Shape},
    trie::Trie,
};

impl Trie {
    /// The last field of the path, and the path without it; `None` for the whole state.
    fn last_field(&self, shape: Shape) -> Option<(&'static FieldInfo, Shape)> {
        if shape == Shape::WHOLE {
            return None;
        }
        let projection = self.projection(shape.node())?;
        Some((projection.field()?, projection.outer()?))
    }

    /// The path with one more field.
    #[inline]
    pub(crate) fn projected<U, V>(
        &self,
        path: Path<U>,
        field: Field<U, V>,
    ) -> Result<Path<V>, Fault> {
        let shape = match self.find_shape(path.shape(), field.info) {
            Some(shape) => shape,
            None => self.intern(path.shape(), field.info)?,
        };
        let bytes = path.offset().bytes() + field.info.offset();
        // SAFETY: R6: so far into each `U` lies a `V`.
        Ok(unsafe { Path::new(shape, bytes) })
    }

    fn find_shape(&self, outer: Shape, field: &FieldInfo) -> Option<Shape> {
        let is_it = |node: &usize| {
            let kept = self.projection(*node);
            kept.is_some_and(|kept| kept.is(outer, field))
        };
        (1..self.shapes()).find(is_it).and_then(Shape::kept_at)
    }

    #[cold]
    fn intern(&self, outer: Shape, field: &'static FieldInfo) -> Result<Shape, Fault> {
        let extending = self.extend();
        if let Some(shape) = self.find_shape(outer, field) {
            return Ok(shape);
        }
        let index = self.shapes();
        let room = self.projection(index).zip(Shape::kept_at(index));
        let Some((projection, shape)) = room else {
            return Err(Fault::ShapesExhausted {
                field: field.name,
                capacity: self.most_projections(),
            });
        };
        projection.set(outer, field);
        extending.count_shape();
        Ok(shape)
    }

    /// The path without its last field, if that is this one.
    #[inline]
    pub(crate) fn unprojected<C, U>(&self, path: Path<U>, field: Field<C, U>) -> Option<Path<C>> {
        let (last, shape) = self.last_field(path.shape())?;
        let bytes = path.offset().bytes();
        if !last.same(field.info) {
            return None;
        }
        // SAFETY: R6: the `U` was found by this field of a `C`.
        Some(unsafe { Path::new(shape, bytes - field.info.offset()) })
    }

    /// The path of this shape, if it leads to a `U`.
    pub(crate) fn path_to<U: 'static>(&self, shape: Shape) -> Option<Path<U>> {
        let bytes = self.offset_to(shape, TypeId::of::<U>())?;
        // SAFETY: R6: the types are the same.
        Some(unsafe { Path::new(shape, bytes) })
    }

    /// How far into the state the shape leads, if it leads to this type. Compiled once for all types.
    #[inline(never)]
    fn offset_to(&self, shape: Shape, wanted: TypeId) -> Option<u32> {
        let last = self.last_field(shape);
        let found = last.map_or(self.whole.id, |(field, _)| field.field);
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
            .map_or(self.whole.name, |(field, _)| field.name)
    }
}
