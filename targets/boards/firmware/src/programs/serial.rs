//! Lines from a serial line, read by a state that the receive interrupt wakes.

use core::fmt::Write;

use batchloop_core::{Capacity, Step, Turn, point, storage};
use heapless::String;
use suite::Failure;

use super::end;
use crate::{Board, Sleep, line};

/// The serial line as a place to print to.
struct Line<B>(core::marker::PhantomData<B>);

impl<B: Board> Write for Line<B> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().for_each(B::send);
        Ok(())
    }
}

/// Reads lines and answers them.
#[derive(Default)]
struct Reader {
    line: String<32>,
    lines: u32,
}

storage!(static READERS: Reader = Capacity::slots(1).points(2).scopes(0));

impl Reader {
    /// Takes bytes until a line is complete.
    fn read<B: Board>(&mut self) -> Option<String<32>> {
        while let Some(byte) = line::receive::<B>() {
            match byte {
                b'\n' => return Some(core::mem::take(&mut self.line)),
                byte => {
                    // A line that is too long is answered as far as it goes.
                    let _ = self.line.push(char::from(byte));
                }
            }
        }
        None
    }
}

fn entry<B: Board>(cx: &mut Turn<'_, Reader>, out: &mut Line<B>) -> core::fmt::Result {
    let mut outcome = Ok(());
    let new = cx.arrivals();
    cx.stage(point!("line"), new).advance(|reader, _| {
        while let Some(mut line) = reader.read::<B>() {
            reader.lines += 1;
            line.make_ascii_uppercase();
            outcome = writeln!(out, "{} {line}", reader.lines);
            if line == "END" {
                return Step::Release;
            }
        }
        Step::Wait
    });
    if cx.machine().live() == 0 {
        cx.stop();
    }
    outcome
}

fn run<B: Board>() -> Result<(), Failure> {
    let machine = READERS.local()?;
    let mut driver = machine.driver()?;
    let reader = machine.allocate(Reader::default())?;
    let out = &mut Line::<B>(core::marker::PhantomData);
    line::start::<B>(machine.waker(reader));
    writeln!(out, "ready")?;
    // QEMU may have found the line deaf and gone to sleep itself. A timer makes it look again.
    B::alarm();
    let mut outcome = Ok(());
    driver.run(Sleep::<B>::new(), |cx: &mut Turn<'_, Reader>| {
        outcome = outcome.and(entry(cx, out));
    })?;
    Ok(outcome?)
}

/// Sends back each line in capitals, until one says "end".
pub fn serial<B: Board>() -> ! {
    end(run::<B>())
}
