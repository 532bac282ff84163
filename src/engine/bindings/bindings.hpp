// What the module is made of, each part in a file of its own.
#pragma once

#include <nanobind/nanobind.h>

#include "../plan.hpp"

namespace qtm::bindings {

using Engine = nanobind::class_<Plan>;

void bind_plan(Engine& engine);
void bind_values(Engine& engine);
void bind_gradients(Engine& engine);
void bind_series(Engine& engine);
void bind_schedule(Engine& engine);
void bind_draws(Engine& engine);
void bind_gram(Engine& engine);
void bind_ready(nanobind::module_& module);
void bind_settings(nanobind::module_& module);

}  // namespace qtm::bindings
