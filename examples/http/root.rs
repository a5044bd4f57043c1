//! The directory whose files are served, and no file beside it.

use std::{fs::File, io, os::fd::OwnedFd, os::unix::fs::MetadataExt, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::{Errno, retry_on_intr},
};

use crate::status::Status;

/// How often a path is tried whose directories are being moved about.
const ATTEMPTS: usize = 8;

/// A directory. Whatever a path says, and wherever symbolic links lead, no file outside is opened.
///
/// The kernel takes care of that. Where it is older than Linux 5.6, or forbids to ask, no symbolic link is followed.
pub(crate) struct Root {
    directory: OwnedFd,
    resolves: bool,
}

/// What is at a path.
pub(crate) enum Found {
    File(Entity),
    Directory,
}

/// An open file, as it was when it was opened.
pub(crate) struct Entity {
    pub(crate) file: File,
    pub(crate) size: u64,
    /// In seconds since 1970; `None` if it is not known, or was before that.
    pub(crate) modified: Option<u64>,
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Root> {
        let directory = openat(CWD, path, OFlags::PATH | BRANCH, Mode::empty())?;
        let resolves = resolve(&directory, b".", OFlags::PATH | BRANCH).is_ok();
        Ok(Root {
            directory,
            resolves,
        })
    }

    /// Opens what is at a path of names and slashes. The path of nothing is the directory itself.
    pub(crate) fn find(&self, path: &[u8]) -> Result<Found, Status> {
        let file = self.reach(path).map_err(|error| match error {
            Errno::ACCESS | Errno::PERM => Status::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Status::ServiceUnavailable,
            Errno::IO => Status::InternalServerError,
            // Nothing is there, or something outside.
            _ => Status::NotFound,
        })?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(|_| Status::InternalServerError)?;
        if metadata.is_dir() {
            return Ok(Found::Directory);
        }
        if !metadata.is_file() {
            return Err(Status::NotFound);
        }
        Ok(Found::File(Entity {
            file,
            size: metadata.len(),
            modified: u64::try_from(metadata.mtime()).ok(),
        }))
    }

    fn reach(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        if !self.resolves {
            return self.walk(path);
        }
        let mut attempts = 1..ATTEMPTS;
        loop {
            match resolve(&self.directory, path, LEAF) {
                Err(Errno::AGAIN) if attempts.next().is_some() => {}
                answer => return answer,
            }
        }
    }

    /// Name by name, without symbolic links.
    fn walk(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
            return step(&self.directory, path, LEAF);
        };
        let (way, name) = (&path[..slash], &path[slash + 1..]);
        let mut names = way.split(|byte| *byte == b'/');
        let first = names.next().unwrap_or_default();
        let start = step(&self.directory, first, OFlags::PATH | BRANCH)?;
        let directory = names.try_fold(start, |directory, name| {
            step(&directory, name, OFlags::PATH | BRANCH)
        })?;
        step(&directory, name, LEAF)
    }
}

/// For directories on the way.
const BRANCH: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// For what is at the end: opening must not wait, even for a pipe that is never written to.
const LEAF: OFlags = OFlags::NONBLOCK
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

fn resolve(directory: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    retry_on_intr(|| openat2(directory, path, flags, Mode::empty(), beneath))
}

fn step(directory: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty()))
}

#[cfg(test)]
mod tests {
    use std::{env, fs, os::unix::fs::symlink, path::PathBuf, process};

    use super::*;

    /// A directory with some of everything, and one beside it.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Tree {
            let tree = Tree(env::temp_dir().join(format!("batchloop-{name}-{}", process::id())));
            let inside = tree.0.join("inside");
            fs::create_dir_all(inside.join("a/b")).unwrap();
            fs::write(inside.join("a/b/file"), "12345").unwrap();
            fs::write(tree.0.join("secret"), "secret").unwrap();
            symlink("b/file", inside.join("a/link")).unwrap();
            symlink("a/b", inside.join("short")).unwrap();
            symlink("../secret", inside.join("leak")).unwrap();
            symlink(tree.0.join("secret"), inside.join("absolute")).unwrap();
            symlink("..", inside.join("up")).unwrap();
            symlink("loop", inside.join("loop")).unwrap();
            tree
        }

        fn root(&self) -> Root {
            Root::open(&self.0.join("inside")).unwrap()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn look(root: &Root, path: &str) -> Result<Option<u64>, Status> {
        root.find(path.as_bytes()).map(|found| match found {
            Found::File(entity) => Some(entity.size),
            Found::Directory => None,
        })
    }

    #[test]
    fn nothing_outside_is_found() {
        let tree = Tree::new("root");
        let mut root = tree.root();
        for resolves in [root.resolves, false] {
            root.resolves = resolves;
            assert_eq!(look(&root, ""), Ok(None));
            assert_eq!(look(&root, "a"), Ok(None));
            assert_eq!(look(&root, "a/b/file"), Ok(Some(5)));
            for path in [
                "none",
                "a/none",
                "none/file",
                "a/b/file/more",
                "leak",
                "absolute",
                "up",
                "up/secret",
                "loop",
                "../secret",
                "a/../../secret",
                "..",
                "/etc/passwd",
            ] {
                // The walk alone does not know of `..`, which no request has.
                if resolves || !path.contains("..") && !path.starts_with('/') {
                    assert_eq!(look(&root, path), Err(Status::NotFound), "{path}");
                }
            }
            let linked = match resolves {
                true => Ok(Some(5)),
                false => Err(Status::NotFound),
            };
            assert_eq!(look(&root, "a/link"), linked);
            assert_eq!(look(&root, "short/file"), linked);
        }
    }

    #[test]
    fn what_is_no_file_is_not_found_at_once() {
        let tree = Tree::new("pipe");
        let pipe = tree.0.join("inside/pipe");
        let made = process::Command::new("mkfifo").arg(pipe).status().unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(tree.0.join("inside/socket")).unwrap();
        assert_eq!(look(&tree.root(), "pipe"), Err(Status::NotFound));
        assert_eq!(look(&tree.root(), "socket"), Err(Status::NotFound));
    }

    #[test]
    fn a_root_is_a_directory() {
        let tree = Tree::new("no-root");
        assert!(Root::open(&tree.0.join("secret")).is_err());
        assert!(Root::open(&tree.0.join("none")).is_err());
    }
}
