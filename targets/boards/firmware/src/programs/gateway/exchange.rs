//! An exchange with a sensor: one request, and its answer or none.

use batchloop_core::{Batch, Context, Reaction, Step, point};

use super::{Gateway, transmitter::Message};
use crate::Board;

/// How long a sensor may take to answer, in milliseconds.
const PATIENCE: u64 = 250;

/// What is known of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reply {
    NotAwaited,
    Awaited,
    Value(u32),
}

/// One exchange, again and again.
#[derive(Debug)]
pub(super) struct Exchange {
    sensor: u8,
    /// The number of the last request.
    request: u16,
    reply: Reply,
    /// The answers that were not waited for.
    late: u32,
}

/// Asks, and waits for the answer. A state that goes on has it, or has waited for long enough.
pub(super) fn exchange<'t, B: Board>(
    cx: &mut Context<'t>,
    starting: Batch<'t, Exchange>,
    gateway: &mut Gateway<'_, B>,
) -> Batch<'t, Exchange> {
    let asked = cx.stage(point!("ask"), starting).advance(|exchange, me| {
        let Exchange { sensor, .. } = exchange;
        let request = exchange.request.wrapping_add(1);
        let line = Message::of(format_args!("> s{sensor} read {request}"));
        if gateway.out.say(&line).is_err() {
            return Step::Wait;
        }
        exchange.request = request;
        exchange.reply = Reply::Awaited;
        gateway.timers.arm(me.token(), gateway.now + PATIENCE);
        Step::Next
    });
    cx.stage(point!("answer"), asked).advance(|exchange, me| {
        let may_come = gateway.timers.deadline(me.token()).is_some();
        if exchange.reply == Reply::Awaited && may_come {
            return Step::Wait;
        }
        gateway.timers.cancel(me.token());
        Step::Next
    })
}

impl Exchange {
    pub(super) fn with(sensor: u8) -> Self {
        Exchange {
            sensor,
            request: 0,
            reply: Reply::NotAwaited,
            late: 0,
        }
    }

    /// The sensor says something. A value for a request that is over is not taken for one that is not.
    pub(super) fn answer(&mut self, request: u16, value: u32) -> Reaction {
        if request == self.request && self.reply == Reply::Awaited {
            self.reply = Reply::Value(value);
            return Reaction::Wake;
        }
        self.late += 1;
        Reaction::Ignore
    }

    /// The value, once the exchange is over; after that an answer to it is late.
    pub(super) fn finish(&mut self) -> Option<u32> {
        match core::mem::replace(&mut self.reply, Reply::NotAwaited) {
            Reply::Value(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn late(&self) -> u32 {
        self.late
    }
}
