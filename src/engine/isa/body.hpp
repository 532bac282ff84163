// The whole engine body, for the instruction set that the including file is compiled for. Everything has internal
// linkage: the linker must never mix code of two instruction sets.
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include "../jet.hpp"
#include "../tile.hpp"
#include "../tuning.hpp"

namespace qtm {
namespace {

// clang-format off: each builds on those before
#include "../vector.hpp"
#include "../jets.hpp"
#include "../motion.hpp"
#include "../workspace.hpp"
#include "../angles.hpp"
#include "../sweep.hpp"
#include "../braket.hpp"
#include "../walsh.hpp"
#include "../absorb.hpp"
#include "../observable.hpp"
#include "../amplitudes.hpp"
#include "../outputs.hpp"
#include "../rotations.hpp"
#include "../diagonals.hpp"
#include "../stepwise.hpp"
#include "../outer.hpp"
#include "../join.hpp"
#include "../unjoined.hpp"
#include "../evolve.hpp"
// clang-format on

}  // namespace
}  // namespace qtm
