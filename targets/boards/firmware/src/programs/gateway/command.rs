//! What a line received may say.

use core::fmt;

use heapless::String;

use super::SENSORS;

/// The longest line that is obeyed, in bytes.
pub(super) const LONGEST: usize = 64;

/// Milliseconds between readings that an operator may ask for.
const RATES: core::ops::RangeInclusive<u32> = 10..=3_600_000;

/// What an operator can ask, as `help` says it.
pub(super) const HELP: [&str; 8] = [
    "help       says this",
    "list       says of each sensor what was read last",
    "get N      says it of sensor N",
    "rate N MS  reads it every MS milliseconds",
    "start N    begins to read it",
    "stop N     ends that",
    "dump       says where each state waits",
    "< sN R V   sensor N answers request R with the value V",
];

/// One line.
#[derive(Clone, Copy)]
pub(super) enum Command {
    Help,
    List,
    Get {
        sensor: u8,
    },
    Rate {
        sensor: u8,
        rate: u32,
    },
    Start {
        sensor: u8,
    },
    Stop {
        sensor: u8,
    },
    Dump,
    Answer {
        sensor: u8,
        request: u16,
        value: u32,
    },
}

/// Why a line is not obeyed.
#[derive(Clone)]
pub(super) enum Complaint {
    Unknown(String<LONGEST>),
    /// The command is known, and what follows it is wrong.
    Usage(&'static str),
    Rate,
    NoSuchSensor,
    TooLong,
    NotText,
    Late {
        sensor: u8,
        request: u16,
    },
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Complaint::Unknown(line) => write!(f, "unknown command {line:?}; see help"),
            Complaint::Usage(usage) => write!(f, "usage: {usage}"),
            Complaint::Rate => write!(f, "a rate is from {} to {} ms", RATES.start(), RATES.end()),
            Complaint::NoSuchSensor => write!(f, "sensors are 1 to {SENSORS}"),
            Complaint::TooLong => write!(f, "the line has more than {LONGEST} bytes"),
            Complaint::NotText => f.write_str("the line is not UTF-8"),
            Complaint::Late { sensor, request } => {
                write!(f, "late: request {request} to s{sensor} is over")
            }
        }
    }
}

/// A sensor's number.
fn sensor(word: &str) -> Result<u8, Complaint> {
    match word.parse() {
        Ok(number) if (1..=SENSORS as u8).contains(&number) => Ok(number),
        _ => Err(Complaint::NoSuchSensor),
    }
}

fn rate(word: &str) -> Result<u32, Complaint> {
    let rate = word.parse().ok().filter(|rate| RATES.contains(rate));
    rate.ok_or(Complaint::Rate)
}

impl Command {
    /// What the line says.
    pub(super) fn parse(line: &str) -> Result<Self, Complaint> {
        let mut words = line.split_ascii_whitespace();
        // One more than any command has.
        let words: [Option<&str>; 5] = core::array::from_fn(|_| words.next());
        match words {
            [Some("help"), None, ..] => Ok(Command::Help),
            [Some("list"), None, ..] => Ok(Command::List),
            [Some("dump"), None, ..] => Ok(Command::Dump),
            [Some("get"), Some(number), None, ..] => {
                sensor(number).map(|sensor| Command::Get { sensor })
            }
            [Some("start"), Some(number), None, ..] => {
                sensor(number).map(|sensor| Command::Start { sensor })
            }
            [Some("stop"), Some(number), None, ..] => {
                sensor(number).map(|sensor| Command::Stop { sensor })
            }
            [Some("rate"), Some(number), Some(milliseconds), None, _] => Ok(Command::Rate {
                sensor: sensor(number)?,
                rate: rate(milliseconds)?,
            }),
            [Some("<"), Some(name), Some(request), Some(value), None] => {
                Self::parse_answer(name, request, value)
            }
            [Some(word), ..] => Err(Self::misuse(word, line)),
            [None, ..] => Err(Complaint::Usage("a command; see help")),
        }
    }

    fn parse_answer(name: &str, request: &str, value: &str) -> Result<Self, Complaint> {
        let number = name.strip_prefix('s').ok_or(Complaint::NoSuchSensor)?;
        match (request.parse(), value.parse()) {
            (Ok(request), Ok(value)) => Ok(Command::Answer {
                sensor: sensor(number)?,
                request,
                value,
            }),
            _ => Err(Complaint::Usage("< sN REQUEST VALUE")),
        }
    }

    /// What is wrong with a line that begins with this word.
    fn misuse(word: &str, line: &str) -> Complaint {
        match word {
            "help" => Complaint::Usage("help"),
            "list" => Complaint::Usage("list"),
            "dump" => Complaint::Usage("dump"),
            "get" => Complaint::Usage("get N"),
            "start" => Complaint::Usage("start N"),
            "stop" => Complaint::Usage("stop N"),
            "rate" => Complaint::Usage("rate N MS"),
            "<" => Complaint::Usage("< sN REQUEST VALUE"),
            _ => Complaint::Unknown(String::try_from(line).unwrap_or_default()),
        }
    }
}
