// What is thrown where nothing fits the memory budget.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#include "jet.hpp"

namespace qtm {

// What it takes, and what helps.
std::string over_budget_text(const std::string& what, size_t bytes, size_t budget, bool is_single);
template <class Real>
std::length_error over_budget(const std::string& what, size_t bytes, size_t budget) {
    return std::length_error(over_budget_text(what, bytes, budget, is_single<Real>));
}

}  // namespace qtm
