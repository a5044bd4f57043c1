//! Projecting a batch to a field, and back.

use crate::program::{
    fault::Fault,
    field::FieldInfo,
    shape::{Kind, Shape},
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
    pub(crate) fn projected(
        &self,
        outer: Shape,
        field: &'static FieldInfo,
    ) -> Result<Shape, Fault> {
        match self.find_shape(outer, field) {
            Some(shape) => Ok(shape),
            None => self.intern(outer, field),
        }
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
    pub(crate) fn unprojected(&self, shape: Shape, field: &FieldInfo) -> Option<Shape> {
        let (last, outer) = self.last_field(shape)?;
        last.same(field).then_some(outer)
    }

    /// Whether the shape leads to what is of this kind.
    pub(crate) fn leads_to(&self, shape: Shape, kind: &Kind) -> bool {
        let last = self.last_field(shape);
        last.map_or(self.whole.id, |(field, _)| field.field) == kind.id
    }

    /// How far into the state the shape leads.
    #[inline]
    pub(crate) fn offset_of(&self, shape: Shape) -> u32 {
        match shape {
            Shape::WHOLE => 0,
            shape => self.offset_of_field(shape),
        }
    }

    #[inline(never)]
    fn offset_of_field(&self, mut shape: Shape) -> u32 {
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
