//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::prelude::*;

pub(crate) const HELP: &str = "\
Usage: article [OPTIONS]

Makes an HTTP GET for each job, digests the bodies, and prints one line for each job as it ends:
  job<TAB>status<TAB>bytes<TAB>sha256   or   job<TAB>error<TAB>reason

Options:
  --jobs N         so many jobs, named 0 to N-1 (default 1000)
  --stdin          one job for each line of standard input that is not blank, named by the line
  --url URL        http://HOST[:PORT][/PATH][?QUERY], in which {} stands for the job's name
                   (default: a small server that the program starts on the loopback interface)
  --concurrency N  at most so many jobs at once (default 256)
  --timeout S      seconds after which a job fails (default 5); the addresses of a host share them
  --help           this text

Exit status: 0 if every job ended in a result, 1 if not, 2 if the options are wrong.
";

const MAX_CONCURRENCY: usize = 1 << 20;
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the jobs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Count(u64),
    Stdin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) source: Source,
    /// None: the program's own server.
    pub(crate) url: Option<Url>,
    pub(crate) concurrency: usize,
    pub(crate) timeout: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Run(Options),
    Help,
}

/// Reads the command line; an error is one line that names what is wrong.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut jobs, mut stdin, mut url) = (None, false, None);
    let (mut concurrency, mut timeout) = (256, Duration::from_secs(5));
    while let Some(argument) = parser.next().map_err(one_line)? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("stdin") => stdin = true,
            Long("jobs") => jobs = Some(number(&text(&mut parser)?, "--jobs")?),
            Long("url") => url = Some(Url::parse(&text(&mut parser)?)?),
            Long("concurrency") => {
                let slots = number(&text(&mut parser)?, "--concurrency")?;
                let slots = usize::try_from(slots)
                    .ok()
                    .filter(|n| (1..=MAX_CONCURRENCY).contains(n));
                concurrency = slots.ok_or(format!("--concurrency: 1 to {MAX_CONCURRENCY} jobs"))?;
            }
            Long("timeout") => timeout = seconds(&text(&mut parser)?)?,
            _ => return Err(one_line(argument.unexpected())),
        }
    }
    let source = match (jobs, stdin) {
        (Some(_), true) => return Err("--jobs and --stdin exclude each other".into()),
        (None, true) => Source::Stdin,
        (jobs, false) => Source::Count(jobs.unwrap_or(1000)),
    };
    Ok(Command::Run(Options {
        source,
        url,
        concurrency,
        timeout,
    }))
}

/// Control characters of an argument must not break the line that complains about it.
fn one_line(error: lexopt::Error) -> String {
    let escape = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.into()
        }
    };
    error.to_string().chars().map(escape).collect()
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser
        .value()
        .and_then(|value| value.string())
        .map_err(one_line)
}

fn number(text: &str, option: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{option}: not a number: {text:?}"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds = seconds.filter(|seconds| !seconds.is_zero() && *seconds <= MAX_TIMEOUT);
    seconds.ok_or_else(|| format!("--timeout: not a number of seconds up to a day: {text:?}"))
}

/// An `http` URL, whose path and query may contain `{}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Host and port as they were given, for the `Host` field.
    pub(crate) authority: String,
    /// A name or an address, without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    target: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Url, String> {
        let bad = |reason: &str| format!("--url: {reason}: {text:?}");
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(bad(&format!("{odd:?} must be percent-encoded")));
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            _ => return Err(bad("must begin with http://")),
        };
        if rest.contains('#') {
            return Err(bad("a fragment is not sent to a server"));
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, "80"),
        };
        let digits = Some(port).filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
        let port = digits
            .and_then(|digits| digits.parse().ok())
            .filter(|&port| port != 0);
        let port = port.ok_or_else(|| bad("the port is not a number from 1 to 65535"))?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6
                .strip_suffix(']')
                .filter(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok()),
            None => Some(host).filter(|name| is_name(name)),
        };
        let host = host.ok_or_else(|| bad("not a host's name or address"))?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Url {
            authority: authority.into(),
            host: host.into(),
            port,
            target: format!("{slash}{target}"),
        })
    }

    /// The path and query for the job of this name.
    pub(crate) fn target(&self, name: &[u8]) -> String {
        self.target.replace("{}", &percent_encoded(name))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// All but the unreserved characters of RFC 3986 as `%XX`, so that a name cannot become syntax.
fn percent_encoded(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<Options, String> {
        match parse(arguments.iter().map(OsString::from))? {
            Command::Run(options) => Ok(options),
            Command::Help => panic!("help"),
        }
    }

    #[test]
    fn defaults_and_every_option() {
        let options = run(&[]).unwrap();
        assert_eq!(options.source, Source::Count(1000));
        assert_eq!((options.url, options.concurrency), (None, 256));
        assert_eq!(options.timeout, Duration::from_secs(5));

        let options = run(&[
            "--stdin",
            "--url=http://a/{}",
            "--concurrency",
            "1",
            "--timeout",
            "0.25",
        ]);
        let options = options.unwrap();
        assert_eq!(options.source, Source::Stdin);
        assert_eq!(options.url.unwrap().target(b"x"), "/x");
        assert_eq!(
            (options.concurrency, options.timeout),
            (1, Duration::from_millis(250))
        );
        assert_eq!(run(&["--jobs", "0"]).unwrap().source, Source::Count(0));
        assert_eq!(parse(["--help".into()]), Ok(Command::Help));
    }

    #[test]
    fn wrong_options_are_one_line() {
        for wrong in [
            &["--what"][..],
            &["-x"],
            &["more"],
            &["--a\nb"],
            &["--jobs"],
            &["--jobs", "-1"],
            &["--jobs", "two\nlines"],
            &["--jobs", "1", "--stdin"],
            &["--stdin=yes"],
            &["--concurrency", "0"],
            &["--concurrency", "1048577"],
            &["--timeout", "0"],
            &["--timeout", "nan"],
            &["--timeout", "-1"],
            &["--timeout", "1e99"],
            &["--url", "x"],
        ] {
            let error = run(wrong).expect_err("wrong");
            assert!(
                !error.is_empty() && !error.contains('\n'),
                "{wrong:?}: {error}"
            );
        }
    }

    #[test]
    fn urls() {
        let parts = |text| {
            Url::parse(text).map(|url| (url.host.clone(), url.port, url.target(b"a/b \xff")))
        };
        let is = |host: &str, port, target: &str| Ok((host.to_owned(), port, target.to_owned()));
        assert_eq!(
            parts("http://localhost:8080/n?x={}&y={}"),
            is("localhost", 8080, "/n?x=a%2Fb%20%FF&y=a%2Fb%20%FF")
        );
        assert_eq!(parts("HTTP://10.0.0.1"), is("10.0.0.1", 80, "/"));
        assert_eq!(parts("http://[::1]?n={}"), is("::1", 80, "/?n=a%2Fb%20%FF"));
        assert_eq!(parts("http://[::1]:81/"), is("::1", 81, "/"));
        for wrong in [
            "",
            "http",
            "http://",
            "http:///x",
            "https://a/",
            "ftp://a/",
            "http://a:0/",
            "http://a:x/",
            "http://a:/",
            "http://a:65536/",
            "http://a:+1/",
            "http://u@a/",
            "http://{}/",
            "http://[::1/",
            "http://[a]/",
            "http://a/#f",
            "http://a/ b",
            "http://a/\n",
            "http://a/é",
            "http://a:1:2/",
        ] {
            let error = parts(wrong).expect_err(wrong);
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
