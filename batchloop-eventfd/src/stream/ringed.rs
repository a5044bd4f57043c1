//! A socket that goes through a ring, or has done so: then rings may still have something of it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use batchloop_core::{Bell, Events};
use rustix::event::epoll::{self, EventFlags};

use super::direct::Direct;
use crate::{
    ground::{event_fd::EventFd, mark::Mark, received::Received},
    ring::{Attached, Past, SharedConnections},
};

#[derive(Debug)]
pub(super) struct Ringed {
    /// For where it goes through none.
    direct: Direct,
    attached: Option<Attached>,
    /// Rings that it was attached to before, and that still have something of it.
    past: Past,
}

impl Ringed {
    /// Leaves epoll for a ring.
    pub(super) fn new(
        direct: &mut Direct,
        ring: &Arc<SharedConnections>,
        mark: Mark,
    ) -> io::Result<Self> {
        let attached = Attached::new(ring, Arc::clone(direct.socket()), mark, false)?;
        direct.leave_epoll();
        Ok(Ringed {
            direct: direct.clone(),
            attached: Some(attached),
            past: Past::default(),
        })
    }

    /// Goes through this ring from now on.
    pub(super) fn attach_to_ring(
        &mut self,
        ring: &Arc<SharedConnections>,
        mark: Mark,
    ) -> io::Result<()> {
        let attached = self.attached.as_ref();
        if attached.is_some_and(|attached| attached.is_of(ring)) {
            return Ok(());
        }
        self.is_usable()?;
        let waits = !self.is_in_no_ring();
        let new = Attached::new(ring, Arc::clone(self.direct.socket()), mark, waits)?;
        self.direct.leave_epoll();
        if let Some(old) = self.attached.replace(new) {
            self.past.add(old);
        }
        match &self.attached {
            Some(new) if waits => self.past.lead_to_ring(new),
            _ => Ok(()),
        }
    }

    pub(super) fn attach_to_epoll(&mut self, epoll: &Arc<OwnedFd>, mark: Mark) -> io::Result<()> {
        self.is_usable()?;
        let herald = match self.is_in_no_ring() {
            true => None,
            false => Some(herald(epoll, mark)?),
        };
        self.direct.attach_to_epoll(epoll, mark)?;
        self.detach();
        herald.map_or(Ok(()), |herald| self.past.lead_to_epoll(herald))
    }

    pub(super) fn tell(&self, mark: Mark) -> io::Result<()> {
        let attached = self.attached.as_ref();
        attached.map_or(Ok(()), |attached| attached.take_up(mark))
    }

    fn is_in_no_ring(&self) -> bool {
        self.attached.is_none() && self.past.is_empty()
    }

    /// Fails if a ring that it depends on has been dropped.
    fn is_usable(&self) -> io::Result<()> {
        match &self.attached {
            None => self.past.is_usable(),
            Some(attached) => attached.is_usable(),
        }
    }

    /// Goes through no ring from now on, as soon as the ring has let go of it.
    fn detach(&mut self) {
        if let Some(old) = self.attached.take() {
            self.past.add(old);
            self.direct.may_be_ready();
        }
    }

    pub(super) fn note(&mut self, events: Events) {
        self.direct.note(events);
    }

    pub(super) fn receive(&mut self, room: &mut [u8]) -> io::Result<Received> {
        if !self.past.is_empty()
            && let Some(answer) = self.past.receive(room)
        {
            return answer;
        }
        let Some(attached) = &self.attached else {
            return self.direct.receive(room);
        };
        match attached.receive(room)? {
            Some(received) => Ok(received),
            None => {
                self.detach();
                self.receive(room)
            }
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(attached) = &self.attached {
            if let Some(sent) = attached.send(bytes)? {
                return Ok(sent);
            }
            self.detach();
        }
        self.direct.is_sound()?;
        if !self.past.is_empty() && !self.past.has_sent()? {
            return Ok(0);
        }
        self.direct.send(bytes)
    }

    pub(super) fn end(&self) -> io::Result<()> {
        match &self.attached {
            None => self.past.end().unwrap_or_else(|| self.direct.end()),
            Some(attached) => attached.end(),
        }
    }

    pub(super) fn check(&mut self) -> io::Result<()> {
        self.past.check()?;
        match &self.attached {
            None => self.direct.check(),
            Some(attached) => attached.check(),
        }
    }

    pub(super) fn may_receive(&self) -> bool {
        let past = self.past.may_receive();
        past.unwrap_or_else(|| match &self.attached {
            None => self.direct.may_receive(),
            Some(attached) => attached.may_receive(),
        })
    }
}

impl AsFd for Ringed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.direct.as_fd()
    }
}

/// Tells a state, by epoll, of what rings have for it. It has something to tell from the beginning.
fn herald(epoll: &OwnedFd, mark: Mark) -> io::Result<Arc<EventFd>> {
    let herald = EventFd::new()?;
    herald.ring();
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
    epoll::add(epoll, &herald, mark.to_data(), flags)?;
    Ok(Arc::new(herald))
}
