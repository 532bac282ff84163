// The native module: checks what it is given, releases the GIL, calls the engine.
#include "../evaluate.hpp"
#include "../gil.hpp"
#include "bindings.hpp"

namespace nb = nanobind;

NB_MODULE(_engine, module) {
    nb::set_leak_warnings(false);  // the cache of engines lives until the interpreter ends
    nb::module_::import_("atexit").attr("register")(nb::cpp_function(&qtm::hold_other_threads));
    module.doc() = "The native state-vector engine. It knows nothing of Qiskit.";
    nb::class_<qtm::Tape<float>>(module, "Tape32", "States of a batch, from a forward to a backward call.");
    nb::class_<qtm::Tape<double>>(module, "Tape64", "States of a batch, from a forward to a backward call.");
    qtm::bindings::Engine engine(module, "Engine",
                                 "A program made ready to run: immutable, safe to share between threads.");
    qtm::bindings::bind_plan(engine);
    qtm::bindings::bind_values(engine);
    qtm::bindings::bind_gradients(engine);
    qtm::bindings::bind_series(engine);
    qtm::bindings::bind_schedule(engine);
    qtm::bindings::bind_draws(engine);
    qtm::bindings::bind_gram(engine);
    qtm::bindings::bind_ready(module);
    qtm::bindings::bind_settings(module);
}
