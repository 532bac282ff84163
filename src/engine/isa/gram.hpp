// As body.hpp, for the products of states alone: they build in no time.
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include "../gram.hpp"
#include "../jet.hpp"

namespace qtm {
namespace {

// clang-format off: the second builds on the first
#include "../vector.hpp"
#include "../panels.hpp"
// clang-format on

}  // namespace
}  // namespace qtm
