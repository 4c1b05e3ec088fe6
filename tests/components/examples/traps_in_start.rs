//! Ends itself while starting.

uuk_test_components::component!(probe = uuk_adapter::probe::nothing);

#[used]
#[expect(unsafe_code, reason = "there is no other way to have a constructor")]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = abort;

extern "C" fn abort() {
    std::process::abort();
}
