//! Never finishes starting.

uuk_test_components::component!(probe = uuk_adapter::probe::nothing);

#[used]
#[expect(unsafe_code, reason = "there is no other way to have a constructor")]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = loop_forever;

extern "C" fn loop_forever() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}
