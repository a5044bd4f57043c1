//! What a turn has in hand goes back where it came from, whatever happens meanwhile.

use core::{marker::PhantomData, slice};

use crate::{
    ground::{index::SetId, word::Access},
    slab::{
        entry::{Entry, Index},
        raw::RawMachine,
    },
    turn::scratch::{Scratch, Segment},
};

/// States that go back to where they came from, active, when it is dropped. They all do, even if a bell panics meanwhile.
pub(super) struct Rest<A: Access> {
    raw: &'static RawMachine,
    entries: slice::Iter<'static, Index>,
    from: SetId,
    access: PhantomData<A>,
}

impl<A: Access> Rest<A> {
    pub(crate) fn of(raw: &'static RawMachine, scratch: &Scratch, segment: Segment) -> Self {
        Rest {
            raw,
            entries: scratch.entries(segment).iter(),
            from: segment.from(),
            access: PhantomData,
        }
    }

    fn put_back(&mut self) {
        let raw = self.raw;
        for entry in self.entries.by_ref().map(Entry::read) {
            if entry.is_claimed() {
                raw.activate_at::<A>(entry.slot(), self.from);
            } else {
                // SAFETY: R3: the entry says that the batch owns it.
                unsafe { raw.put_back::<A>(entry.slot()) };
            }
        }
    }
}

/// A segment that is being secured. Dropped in the middle, as by a bell that panics, it puts all of it back.
pub(super) struct Securing<'s, A: Access> {
    scratch: &'s Scratch,
    rest: Rest<A>,
    segment: Segment,
    /// Where the next entry that is kept goes.
    room: slice::Iter<'static, Index>,
}

impl<'s, A: Access> Securing<'s, A> {
    pub(crate) fn of(raw: &'static RawMachine, scratch: &'s Scratch, segment: Segment) -> Self {
        Securing {
            scratch,
            rest: Rest::of(raw, scratch, segment),
            segment,
            room: scratch.entries(segment).iter(),
        }
    }

    pub(super) fn next(&mut self) -> Option<Entry> {
        self.rest.entries.next().map(Entry::read)
    }

    /// For the entry that came last, which is owned now.
    pub(crate) fn keep(&mut self, owned: Entry) {
        if let Some(index) = self.room.next() {
            owned.write(index);
        }
    }

    fn kept(&self) -> usize {
        self.segment.len() - self.room.len()
    }

    /// The pass has come to its end. Returns how many entries are kept.
    pub(crate) fn end(self) -> usize {
        core::mem::ManuallyDrop::new(self).kept()
    }
}

impl<A: Access> Drop for Securing<'_, A> {
    fn drop(&mut self) {
        let kept = self.segment.first(self.kept());
        drop(Rest::<A>::of(self.rest.raw, self.scratch, kept));
    }
}

impl<A: Access> Drop for Rest<A> {
    fn drop(&mut self) {
        /// Goes on where a panic has come between.
        struct Others<'r, A: Access>(&'r mut Rest<A>);
        impl<A: Access> Drop for Others<'_, A> {
            fn drop(&mut self) {
                self.0.put_back();
            }
        }
        let others = Others(self);
        others.0.put_back();
    }
}
