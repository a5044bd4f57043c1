//! What is said of descriptors, to the kernel and by it: marks, readiness, bells. Knows no stream and no machine.

pub(crate) mod bell;
pub(crate) mod event_fd;
pub(crate) mod gone;
pub(crate) mod mark;
pub(crate) mod readiness;
pub(crate) mod received;
pub(crate) mod sync;
pub(crate) mod wait;
