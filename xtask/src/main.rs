//! The one door to everything that batchloop's developers run beside cargo: `cargo xtask help`.
#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod bless;
mod boards;
mod ci;
mod line;
mod mutants;
mod optimised;
mod places;
mod sanitize;
mod survey;

use std::{env, path::PathBuf, process::ExitCode};

use arguments::{HELP, Request};
use places::Places;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let request = match Request::parse(&words) {
        Ok(request) => request,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    match Places::find().and_then(|places| fulfil(&places, request)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all was well; what was not has been printed then.
fn fulfil(places: &Places, request: Request) -> Result<bool, String> {
    match request {
        Request::Help => println!("{HELP}"),
        Request::List => ci::list(),
        Request::Ci(names) => ci::ci(places, &names)?,
        Request::Test(variants) => {
            let steps: Vec<String> = variants.iter().map(|it| it.step().to_string()).collect();
            ci::ci(places, &steps)?;
        }
        Request::Benches => bench::list(places)?,
        Request::Bench(name, words) => bench::bench(places, &name, &words)?,
        Request::Boards(targets) => boards::boards(places, &targets)?,
        Request::Setup { with_rustup } => boards::setup(places, with_rustup)?,
        Request::Bless(list) => bless::bless(places, &list)?,
        Request::Mutants { is_quick, names } => return mutants::mutants(places, is_quick, &names),
        Request::Survey(files) => return survey::survey(places, &files),
        Request::Optimised(directory) => {
            let directory = directory.map_or_else(|| places.target.join("release"), PathBuf::from);
            return optimised::optimised(&directory);
        }
        Request::Sanitize => return sanitize::sanitize(places),
    }
    Ok(true)
}
