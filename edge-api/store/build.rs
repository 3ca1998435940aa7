//! The migrations are read into the program when it is compiled: a new one compiles it anew.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
