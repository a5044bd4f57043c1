//! The far end of the gateway's line: sensors that answer, or do not, and an operator.
//!
//! Nothing here depends on how fast the board is. What takes time there is asked for until it is so.

use std::{process::Command, thread, time::Duration};

use crate::conversation::Conversation;

const SENSORS: usize = 8;

/// Between a command of the operator and the same again, until the answer is as it should be.
const PAUSE: Duration = Duration::from_millis(10);

/// What the gateway says of an answer that is not waited for begins like this.
const LATE: &str = "error: late: ";

/// The whole bus, and the operator.
struct FarEnd {
    line: Conversation,
    /// What each sensor answers with, from `s1` on. One without a value is silent.
    values: [Option<u32>; SENSORS],
    /// The request that each has heard last.
    requests: [u16; SENSORS],
    heard: Vec<String>,
}

/// The sensor and the number of a request.
fn request(line: &str) -> Option<(usize, u16)> {
    let (sensor, number) = line.strip_prefix("> s")?.split_once(" read ")?;
    let sensor = sensor.parse().ok()?;
    (1..=SENSORS).contains(&sensor).then_some(())?;
    Some((sensor, number.parse().ok()?))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl FarEnd {
    /// The next line. Requests are answered.
    fn hear(&mut self) -> Result<String, String> {
        let line = self.line.hear()?;
        self.heard.push(line.clone());
        if let Some((sensor, number)) = request(&line) {
            let due = self.requests[sensor - 1].wrapping_add(1);
            ensure(number == due, || format!("{line:?}, and not request {due}"))?;
            self.requests[sensor - 1] = number;
            if let Some(value) = self.values[sensor - 1] {
                self.say(&format!("< s{sensor} {number} {value}\n"))?;
            }
        }
        Ok(line)
    }

    fn say(&mut self, text: &str) -> Result<(), String> {
        self.heard.push(format!("    {:.200}", text.trim_end()));
        self.line.say(text.as_bytes())
    }

    /// The next line for the operator. On a busy machine, sensors that answer at once may be late all the same.
    fn answer(&mut self) -> Result<String, String> {
        loop {
            let line = self.hear()?;
            if request(&line).is_none() && !line.starts_with(LATE) {
                return Ok(line);
            }
        }
    }

    /// Replies to a request that is over.
    fn answer_late(&mut self, sensor: usize, number: u16) -> Result<(), String> {
        self.say(&format!("< s{sensor} {number} 999\n"))?;
        let complaint = format!("{LATE}request {number} to s{sensor} is over");
        while self.hear()? != complaint {}
        Ok(())
    }

    /// The next line for the operator is this one.
    fn expect(&mut self, expected: &str) -> Result<(), String> {
        let found = self.answer()?;
        ensure(found == expected, || {
            format!("expected: {expected}\n   found: {found}")
        })
    }

    /// The next line for the operator begins like this.
    fn expect_start(&mut self, expected: &str) -> Result<(), String> {
        let found = self.answer()?;
        ensure(found.starts_with(expected), || {
            format!("expected: {expected} …\n   found: {found}")
        })
    }

    /// The answer to a command that is answered with one line.
    fn ask(&mut self, command: &str) -> Result<String, String> {
        self.say(&format!("{command}\n"))?;
        self.answer()
    }

    /// Asks until the answer has this in it.
    fn until(&mut self, command: &str, wanted: &str) -> Result<String, String> {
        loop {
            let answer = self.ask(command)?;
            if answer.contains(wanted) {
                return Ok(answer);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Listens until a sensor has been asked this many times.
    fn until_asked(&mut self, sensor: usize, times: u16) -> Result<(), String> {
        while self.requests[sensor - 1] < times {
            let line = self.hear()?;
            let is_expected = request(&line).is_some() || line.starts_with(LATE);
            ensure(is_expected, || format!("not asked for: {line}"))?;
        }
        Ok(())
    }

    /// The second part of a dump.
    fn expect_sensors(&mut self) -> Result<(), String> {
        self.expect("Sensor: 8 of 8 slots")?;
        (0..SENSORS).try_for_each(|slot| self.expect_start(&format!("  #{slot}v1 ")))
    }

    fn dump(&mut self) -> Result<Vec<String>, String> {
        self.say("dump\n")?;
        (0..SENSORS + 3).map(|_| self.answer()).collect()
    }

    /// When a sensor that has been read is to be asked next. It answers until then.
    fn due(&mut self, sensor: usize) -> Result<u64, String> {
        self.values[sensor - 1] = Some(77);
        loop {
            let lines = self.dump()?;
            let line = &lines[lines.len() - SENSORS + sensor - 1];
            if line.contains(" waits at \"rest\" (") && line.contains(" reading: Some(") {
                let due = line
                    .split_once(" due: ")
                    .and_then(|(_, due)| due.split_once(','));
                let due = due.and_then(|(due, _)| due.parse().ok());
                return due.ok_or_else(|| line.clone());
            }
        }
    }
}

/// A part of the conversation, with its name.
type Scene = (&'static str, fn(&mut FarEnd) -> Result<(), String>);

const SCENES: [Scene; 11] = [
    ("ordinary polling", polling),
    ("a silent sensor", silent_sensor),
    ("a late answer", late_answer),
    ("answers that take their time", slow_answers),
    ("bytes one by one", single_bytes),
    ("garbage", garbage),
    ("a line that is too long", long_line),
    ("a dump", dump),
    ("commands during a dump", commands_during_a_dump),
    ("a burst beside sensors", burst_beside_sensors),
    ("a burst that is not listened to", burst_in_silence),
];

/// Talks with the gateway that the command runs.
pub(crate) fn check(command: &mut Command) -> Result<(), String> {
    let mut far_end = FarEnd {
        line: Conversation::start(command)?,
        values: [None; SENSORS],
        requests: [0; SENSORS],
        heard: Vec::new(),
    };
    let mut outcome = far_end.expect("gateway: 8 sensors, all stopped; see help");
    for (name, scene) in SCENES {
        outcome = outcome.and_then(|()| {
            far_end.heard.push(format!("[{name}]"));
            scene(&mut far_end)
        });
    }
    outcome.map_err(|complaint| {
        let last = far_end.heard.len().saturating_sub(60);
        format!("{}\n{complaint}", far_end.heard[last..].join("\n"))
    })
}

fn polling(far_end: &mut FarEnd) -> Result<(), String> {
    far_end.say("list\n")?;
    for sensor in 1..=SENSORS {
        far_end.expect(&format!(
            "s{sensor} not read yet; stopped; tries 0, failures 0, late 0"
        ))?;
    }
    far_end.values[0] = Some(111);
    far_end.values[1] = Some(222);
    far_end.say("rate 1 50\nstart 1\nstart 2\n")?;
    for start in [
        "s1 not read yet; stopped",
        "s1 not read yet; every 50 ms",
        "s2 ",
    ] {
        far_end.expect_start(start)?;
    }
    far_end.until("get 1", "s1 111, ")?;
    far_end.until("get 2", "s2 222, ")?;
    far_end.until_asked(1, 5)?;
    far_end.values[0] = Some(112);
    far_end.until("get 1", "s1 112, ")?;
    far_end.say("stop 1\n")?;
    far_end.expect_start("s1 112, ")
}

/// Three requests in vain, and a failure. Once it answers, all is well again.
fn silent_sensor(far_end: &mut FarEnd) -> Result<(), String> {
    far_end.say("start 4\n")?;
    far_end.expect_start("s4 not read yet; every 1000 ms; ")?;
    let failed = far_end.until("get 4", "s4 not read yet; failed; ")?;
    // A late look sees the fourth try, or the fifth.
    let tries = far_end.requests[3];
    let expected = (3..=tries).any(|tries| {
        let failures = tries - 2;
        failed.ends_with(&format!("tries {tries}, failures {failures}, late 0"))
    });
    ensure(expected, || failed)?;
    far_end.until_asked(4, 4)?;
    far_end.values[3] = Some(44);
    far_end.until("get 4", "s4 44, ")?;
    far_end.until("get 4", "every 1000 ms; tries 0, ")?;
    far_end.say("stop 4\n")?;
    far_end.expect_start("s4 44, ")
}

/// The answer to the first request comes when the second is waiting for its own.
fn late_answer(far_end: &mut FarEnd) -> Result<(), String> {
    far_end.say("start 5\n")?;
    far_end.expect_start("s5 not read yet; ")?;
    far_end.until_asked(5, 2)?;
    far_end.answer_late(5, 1)?;
    let now = far_end.ask("get 5")?;
    ensure(
        now.starts_with("s5 not read yet; ") && now.ends_with("late 1"),
        || now.clone(),
    )?;
    far_end.values[4] = Some(555);
    far_end.until("get 5", "s5 555, ")?;
    far_end.say("stop 5\n")?;
    far_end.expect_start("s5 555, ")?;
    far_end.answer_late(5, 60_000)
}

/// They put off no request behind them: when sensor 7 is due next stays a multiple of its rate away from when it was.
fn slow_answers(far_end: &mut FarEnd) -> Result<(), String> {
    const RATE: u64 = 50;
    far_end.say(&format!("rate 7 {RATE}\nstart 7\n"))?;
    for _ in 0..2 {
        far_end.expect_start("s7 not read yet; ")?;
    }
    let first = far_end.due(7)?;
    for _ in 0..5 {
        far_end.values[6] = None;
        let request = far_end.requests[6] + 1;
        far_end.until_asked(7, request)?;
        thread::sleep(PAUSE);
        far_end.say(&format!("< s7 {request} 77\n"))?;
        let due = far_end.due(7)?;
        ensure((due - first) % RATE == 0, || {
            format!("due at {first}, and then at {due}")
        })?;
    }
    far_end.say("stop 7\n")?;
    far_end.expect_start("s7 77, ")
}

fn single_bytes(far_end: &mut FarEnd) -> Result<(), String> {
    for command in ["get 1\n", "get 2\r\n", "\r\n\n  get   3 \r"] {
        for byte in command.chars() {
            far_end.say(&byte.to_string())?;
            thread::sleep(Duration::from_millis(1));
        }
    }
    for start in ["s1 112, ", "s2 222, ", "s3 not read yet; "] {
        far_end.expect_start(start)?;
    }
    Ok(())
}

/// Each line is answered with its own complaint, and the one behind it is obeyed.
fn garbage(far_end: &mut FarEnd) -> Result<(), String> {
    let lines: [(&[u8], &str); 13] = [
        (b"reset", "unknown command \"reset\"; see help"),
        (
            b"a\x00b\x1b[2J",
            "unknown command \"a\\0b\\u{1b}[2J\"; see help",
        ),
        (b"get", "usage: get N"),
        (b"get 1 2", "usage: get N"),
        (b"get 9", "sensors are 1 to 8"),
        (b"start 0", "sensors are 1 to 8"),
        (b"stop -1", "sensors are 1 to 8"),
        (b"rate 1", "usage: rate N MS"),
        (b"rate 1 9", "a rate is from 10 to 3600000 ms"),
        (b"rate 1 99999999999", "a rate is from 10 to 3600000 ms"),
        (b"< s1 1", "usage: < sN REQUEST VALUE"),
        (b"< s9 1 1", "sensors are 1 to 8"),
        (b"caf\xe9 \xff\xfe", "the line is not UTF-8"),
    ];
    for (line, complaint) in lines {
        far_end.line.say(line)?;
        far_end.say("\nget 3\n")?;
        far_end.expect(&format!("error: {complaint}"))?;
        far_end.expect_start("s3 not read yet; ")?;
    }
    Ok(())
}

fn long_line(far_end: &mut FarEnd) -> Result<(), String> {
    for length in [65, 1000, 20_000] {
        far_end.say(&format!("{}\nget 3\n", "x".repeat(length)))?;
        far_end.expect("error: the line has more than 64 bytes")?;
        far_end.expect_start("s3 not read yet; ")?;
    }
    let longest = "y".repeat(64);
    far_end.say(&format!("{longest}\n"))?;
    far_end.expect(&format!("error: unknown command {longest:?}; see help"))
}

/// Each sensor is in it, with the place where it waits; one is waiting for an answer.
fn dump(far_end: &mut FarEnd) -> Result<(), String> {
    far_end.say("start 6\n")?;
    far_end.expect_start("s6 ")?;
    loop {
        let lines = far_end.dump()?;
        let [operators, operator, sensors, states @ ..] = lines.as_slice() else {
            return Err("no lines".into());
        };
        ensure(operators == "Operator: 1 of 1 slots", || operators.clone())?;
        ensure(operator.contains(" from \"room\" ("), || operator.clone())?;
        ensure(sensors == "Sensor: 8 of 8 slots", || sensors.clone())?;
        for (number, state) in (1..).zip(states) {
            let context = format!("): Sensor {{ number: {number}, ");
            let is_whole = state.contains(&context) && state.ends_with(" } }");
            ensure(is_whole && state.contains(" at \""), || state.clone())?;
        }
        ensure(states[2].contains(" waits at \"rest\" ("), || {
            states[2].clone()
        })?;
        let asked = &states[5];
        if asked.contains(" waits at \"answer\" (") && asked.contains(") in \"poll\" (") {
            far_end.say("stop 6\n")?;
            return far_end.expect_start("s6 ");
        }
    }
}

/// What is typed during a dump is obeyed behind it, and a sensor is polled meanwhile.
fn commands_during_a_dump(far_end: &mut FarEnd) -> Result<(), String> {
    far_end.values[0] = Some(113);
    far_end.say("rate 1 10\nstart 1\ndump\n")?;
    far_end.expect_start("s1 112, ")?;
    far_end.expect_start("s1 ")?;
    far_end.expect("Operator: 1 of 1 slots")?;
    far_end.say("get 3\nlist\n")?;
    far_end.expect_start("  #0v1 ")?;
    far_end.say("what\n")?;
    far_end.expect_sensors()?;
    far_end.expect_start("s3 not read yet; ")?;
    for sensor in 1..=SENSORS {
        far_end.expect_start(&format!("s{sensor} "))?;
    }
    far_end.expect("error: unknown command \"what\"; see help")?;
    far_end.until("get 1", "s1 113, ").map(|_| ())
}

/// More commands than the gateway keeps, and more answers than all pipes hold, before any is read.
fn burst(far_end: &mut FarEnd, silence: Duration) -> Result<(), String> {
    const ROUNDS: usize = 60;
    far_end.say(&"dump\nget 3\nnonsense\n".repeat(ROUNDS))?;
    thread::sleep(silence);
    for _ in 0..ROUNDS {
        far_end.expect("Operator: 1 of 1 slots")?;
        far_end.expect_start("  #0v1 ")?;
        far_end.expect_sensors()?;
        far_end.expect_start("s3 not read yet; ")?;
        far_end.expect("error: unknown command \"nonsense\"; see help")?;
    }
    Ok(())
}

/// Long enough for all tries of all sensors, so that there is no room for them either. Then they are read again.
fn burst_beside_sensors(far_end: &mut FarEnd) -> Result<(), String> {
    let sensors = [1, 2, 4, 5, 6, 7, 8];
    for sensor in sensors {
        far_end.say(&format!("rate {sensor} 10\nstart {sensor}\n"))?;
        far_end.expect_start(&format!("s{sensor} "))?;
        far_end.expect_start(&format!("s{sensor} "))?;
    }
    burst(far_end, Duration::from_millis(1500))?;
    for sensor in sensors {
        let value = 1000 + sensor as u32;
        far_end.values[sensor - 1] = Some(value);
        far_end.until(&format!("get {sensor}"), &format!("s{sensor} {value}, "))?;
        far_end.say(&format!("stop {sensor}\n"))?;
        far_end.expect_start(&format!("s{sensor} {value}, "))?;
    }
    Ok(())
}

/// No sensor is due: what says that there is room again is the line, or where QEMU loses that, the next tick.
fn burst_in_silence(far_end: &mut FarEnd) -> Result<(), String> {
    burst(far_end, Duration::from_millis(300))?;
    far_end.until("get 2", "s2 1002, ").map(|_| ())
}
