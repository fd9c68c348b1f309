# The project's tasks. `just` alone lists them; `pip install rust-just` installs it.

_default:
    @just --list

# Format, lints, docs: what .ci/run checks before the tests.
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# All tests. FOOTLIGHTS_KUBECTLS=DIR:DIR adds directories with other kubectls.
test:
    cargo test --locked

# The bundled tour.
demo:
    cargo run --release --locked

# The figures of docs/performance.md.
bench:
    cargo bench --locked --bench figures

# Ten minutes of full load with routes changing each second.
soak:
    cargo bench --locked --bench figures -- soak 600

# Accept changed screens and plans after looking at them.
snap:
    INSTA_UPDATE=always cargo test --locked --test footlights -- screens plans

# Licences and duplicates, by deny.toml; needs cargo-deny.
deny:
    cargo deny --offline check licenses bans sources

# Each fuzz target for a minute; needs cargo-fuzz and a nightly toolchain.
fuzz:
    for target in read patch crd routes grpc; do cargo +nightly fuzz run $target -- -max_total_time=60 -max_len=4096 || exit 1; done
