# The usual commands. `just` lists them.

default:
    @just --list

# Throwaway certificates, a backend, three hosts: nothing to set up.
demo:
    cargo run --release -- demo

# All tests, with the programs they speak to.
test:
    bash tests/run

# Quick feedback: the tests beside the code.
unit *filter:
    cargo test --lib {{filter}}

# Formats in place.
fmt:
    cargo fmt

# Formatting, lints, documentation, tests, dependencies: what must hold before a change lands.
ci:
    .ci/run
