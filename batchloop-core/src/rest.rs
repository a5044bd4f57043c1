//! What a turn has in hand goes back where it came from, whatever happens meanwhile.

use core::slice;

use crate::{
    access::Access,
    bench::Bench,
    index::SetId,
    scratch::{Entry, Index, Segment},
};

/// States that go back to where they came from, active, when it is dropped. They all do, even if a bell panics meanwhile.
pub(crate) struct Rest<'t, A: Access> {
    bench: &'t Bench<A>,
    entries: slice::Iter<'static, Index>,
    from: SetId,
}

impl<'t, A: Access> Rest<'t, A> {
    pub(crate) fn of(bench: &'t Bench<A>, segment: Segment) -> Self {
        Rest {
            bench,
            entries: bench.scratch.entries(segment).iter(),
            from: segment.from(),
        }
    }

    fn put_back(&mut self) {
        let frame = self.bench.frame;
        for entry in self.entries.by_ref().map(Entry::read) {
            if entry.is_claimed() {
                frame.activate_at::<A>(entry.slot(), self.from);
            } else {
                // SAFETY: R3: the entry says that the batch owns it.
                unsafe { frame.put_back::<A>(entry.slot()) };
            }
        }
    }
}

/// A segment that is being secured. Dropped in the middle, as by a bell that panics, it puts all of it back.
pub(crate) struct Securing<'t, A: Access> {
    rest: Rest<'t, A>,
    segment: Segment,
    /// Where the next entry that is kept goes.
    room: slice::Iter<'static, Index>,
}

impl<'t, A: Access> Securing<'t, A> {
    pub(crate) fn of(bench: &'t Bench<A>, segment: Segment) -> Self {
        Securing {
            rest: Rest::of(bench, segment),
            segment,
            room: bench.scratch.entries(segment).iter(),
        }
    }

    pub(crate) fn next(&mut self) -> Option<Entry> {
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
        drop(Rest::of(self.rest.bench, kept));
    }
}

impl<A: Access> Drop for Rest<'_, A> {
    fn drop(&mut self) {
        /// Goes on where a panic has come between.
        struct Others<'r, 't, A: Access>(&'r mut Rest<'t, A>);
        impl<A: Access> Drop for Others<'_, '_, A> {
            fn drop(&mut self) {
                self.0.put_back();
            }
        }
        let others = Others(self);
        others.0.put_back();
    }
}
