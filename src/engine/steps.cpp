#include "steps.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "parity.hpp"
#include "program.hpp"
#include "require.hpp"
#include "tuning.hpp"

namespace qtm {
namespace {

bool is_dense(int32_t kind) { return kind == step_matrix || kind == step_diagonal; }

}  // namespace

Steps::Steps(StepArrays arrays, int num_qubits, size_t num_angles)
    : given_(std::move(arrays)), num_qubits_(num_qubits) {
    require(num_qubits >= 1 && num_qubits <= max_qubits, "num_qubits");
    check_sizes(num_angles);
    for (size_t s = 0; s < num_steps(); ++s) {
        check_step(s);
        derive_cosets(s);
    }
    for_each_product([&](size_t, double count) { products_ += count; });
}

void Steps::check_sizes(size_t num_angles) const {
    const StepArrays& a = given_;
    require(a.angle.size() == num_steps() && a.x.size() == num_steps() && a.z.size() == num_steps() &&
                a.columns.size() == num_steps(),
            "steps");
    require(a.layers_in_sweeps >= 0, "layers_in_sweeps");
    require(a.reading_in_sweeps >= 0, "reading_in_sweeps");
    require_ranges(a.qubit_begin, num_steps(), a.qubit_flip.size(), "qubit_begin");
    require(a.qubit_sign.size() == a.qubit_flip.size() && a.qubit_is_negative.size() == a.qubit_flip.size(), "qubits");
    require_ranges(a.entry_begin, num_steps(), a.entries.size(), "entry_begin");
    for (uint32_t mask : a.x) require(mask >> num_qubits_ == 0, "step masks");
    for (uint32_t mask : a.z) require(mask >> num_qubits_ == 0, "step masks");
    for (uint32_t mask : a.qubit_flip) require(mask >> num_qubits_ == 0, "qubit_flip");
    for (uint32_t mask : a.qubit_sign) require(mask >> num_qubits_ == 0, "qubit_sign");
    for (size_t s = 0; s < num_steps(); ++s) {
        require(a.kind[s] >= step_x && a.kind[s] <= step_diagonal, "step_kind");
        require(a.kind[s] == step_matrix || a.columns[s] == 0, "columns of what is no matrix");
        require(a.kind[s] == step_matrix || (a.angle[s] >= 0 && size_t(a.angle[s]) < num_angles), "step_angle");
    }
}

void Steps::check_step(size_t s) const {
    const StepArrays& a = given_;
    const int32_t kind = a.kind[s], begin = a.qubit_begin[s], end = a.qubit_begin[s + 1];
    const int64_t count = a.entry_begin[s + 1] - a.entry_begin[s];
    require(end - begin <= num_qubits_, "qubits of a step");
    for (int32_t q = begin; q < end; ++q)
        for (int32_t other = begin; other < end; ++other)
            require(odd(a.qubit_flip[size_t(q)] & a.qubit_sign[size_t(other)]) == (q == other),
                    "qubits of a step must be independent");
    if (!is_dense(kind)) {
        require(count == 0, "a rotation has no entries");
        require((kind == step_z) == (a.x[s] == 0), "a rotation about X or Y flips, one about Z does not");
        require(kind != step_y || odd(a.x[s] & a.z[s]), "a rotation about Y");
        require(kind != step_z || begin == end, "a rotation about Z has no controls");
        for (int32_t q = begin; q < end; ++q)
            require(!odd(a.qubit_sign[size_t(q)] & a.x[s]), "a rotation must not flip its controls");
        return;
    }
    require(begin < end, "qubits of a step");
    const int64_t rows = int64_t(1) << (end - begin);
    if (kind == step_diagonal) {
        require(count == rows, "entries of a diagonal");
        return;
    }
    const int64_t columns = a.columns[s];
    require(columns >= 1 && columns <= rows && std::has_single_bit(uint64_t(columns)), "columns of a matrix");
    require(count == 2 * rows * columns, "entries of a matrix");
}

// Flips of the qubits reach all of a coset; what flips none of them leads from one to the next.
void Steps::derive_cosets(size_t s) {
    const StepArrays& a = given_;
    const auto begin = size_t(a.qubit_begin[s]), end = size_t(a.qubit_begin[s + 1]);
    uint32_t first = 0, negative = 0;
    std::vector<uint32_t> offsets{0};
    for (size_t q = begin; q < end; ++q) {
        if (a.qubit_is_negative[q]) {
            first ^= a.qubit_flip[q];
            negative |= uint32_t(1) << (q - begin);
        }
        for (size_t i = 0, size = offsets.size(); i < size; ++i) offsets.push_back(offsets[i] ^ a.qubit_flip[q]);
    }
    Span reached;
    uint32_t all = 0;
    for (int bit = 0; is_dense(a.kind[s]) && bit < num_qubits_; ++bit) {
        uint32_t flip = uint32_t(1) << bit;
        for (size_t q = begin; q < end; ++q)
            if (a.qubit_sign[q] >> bit & 1) flip ^= a.qubit_flip[q];
        if (!reached.add_if_independent(flip)) continue;
        all ^= flip;
        next_.push_back(all);
    }
    next_.push_back(0);  // after the last coset
    offset_.insert(offset_.end(), offsets.begin(), offsets.end());
    first_.push_back(first);
    negative_.push_back(negative);
    offset_begin_.push_back(offset_.size());
    next_begin_.push_back(next_.size());
}

int Steps::stored_columns(size_t s) const {
    return (given_.columns[s] + rows_in_block - 1) / rows_in_block * rows_in_block;
}

size_t Steps::stored_entries(size_t s) const {
    if (given_.kind[s] == step_diagonal) return size_t(1) << bits(s);
    if (given_.kind[s] != step_matrix) return 0;
    return size_t(std::max(1 << bits(s), rows_in_block)) * size_t(stored_columns(s)) * 2;
}

template <class Real>
size_t Steps::bytes() const {
    size_t count = 0;
    for (size_t s = 0; s < num_steps(); ++s) count += stored_entries(s);
    return count * sizeof(Real);
}

template <class Real>
std::unique_ptr<Steps::Laid<Real>> Steps::laid() const {
    auto found = std::make_unique<Laid<Real>>();
    found->entries.assign(bytes<Real>() / sizeof(Real), Real(0));
    Real* place = found->entries.data();
    for (size_t s = 0; s < num_steps(); ++s) {
        StepView<Real> step{};
        step.kind = given_.kind[s];
        step.angle = given_.angle[s];
        step.x = given_.x[s];
        step.z = given_.z[s];
        step.bits = bits(s);
        step.sign = given_.qubit_sign.data() + given_.qubit_begin[s];
        step.negative = negative_[s];
        step.offset = offset_.data() + offset_begin_[s];
        step.first = first_[s];
        step.next = next_.data() + next_begin_[s];
        step.columns = given_.columns[s];
        step.stored_columns = stored_columns(s);
        step.entries = step.energies = place;
        const double* entry = given_.entries.data() + given_.entry_begin[s];
        const int rows = 1 << step.bits;
        if (step.kind == step_diagonal) {
            std::transform(entry, entry + rows, place, [](double energy) { return Real(energy); });
        } else if (step.kind == step_matrix) {
            for (int row = 0; row < rows; ++row)
                for (int column = 0; column < step.columns; ++column, entry += 2) {
                    const size_t cell = size_t(row / rows_in_block) * size_t(step.stored_columns) + size_t(column);
                    Real* to = place + cell * 2 * rows_in_block + row % rows_in_block;
                    to[0] = Real(entry[0]);
                    to[rows_in_block] = Real(entry[1]);
                }
        }
        place += stored_entries(s);
        found->step.push_back(step);
    }
    return found;
}

namespace {

// The lowest bits of an index are in the lanes: only conditions that have none of them are settled by the vector.
ControlsView visited(const Conditions& conditions, uint32_t flip, int num_qubits, int lane_bits,
                     std::vector<uint32_t>& next) {
    const uint32_t lanes = (uint32_t(1) << lane_bits) - 1;
    ControlsView found{};
    uint32_t settled = 0;
    for (size_t i = 0; i < conditions.mask.size(); ++i) {
        if (conditions.pivot[i] & lanes) {
            found.lane[found.bits] = conditions.mask[i] & lanes;
            found.high[found.bits] = conditions.mask[i] >> lane_bits;
            found.negative |= uint32_t(conditions.is_odd[i]) << found.bits++;
            continue;
        }
        settled |= conditions.pivot[i];
        if (conditions.is_odd[i]) found.first |= conditions.pivot[i];
    }
    // Of every pair, the vector whose number lacks one bit of the flip.
    const uint32_t choice = flip & ~lanes & ~settled, left_out = choice & (0 - choice);
    uint32_t all = 0;
    found.count = 1;
    for (int bit = lane_bits; bit < num_qubits; ++bit) {
        const uint32_t unit = uint32_t(1) << bit;
        if (unit & (settled | left_out)) continue;
        all ^= conditions.kept_by(unit);
        next.push_back(all >> lane_bits);
        found.count *= 2;
    }
    next.push_back(0);  // after the last one
    found.first >>= lane_bits;
    return found;
}

}  // namespace

std::unique_ptr<Steps::Controls> Steps::controls(int lane_bits) const {
    auto found = std::make_unique<Controls>();
    std::vector<size_t> begin;
    Span reached;
    for (size_t s = 0; s < num_steps(); ++s) {
        begin.push_back(found->next.size());
        found->of_step.push_back({});
        reach(s, reached);
        if (is_dense(given_.kind[s])) continue;
        Conditions conditions;
        for (auto q = size_t(given_.qubit_begin[s]); q < size_t(given_.qubit_begin[s + 1]); ++q)
            conditions.add(given_.qubit_sign[q], given_.qubit_is_negative[q] != 0);
        if (int(reached.dimension()) < num_qubits_)
            for (uint32_t mask : even_masks(reached.basis(), num_qubits_)) conditions.add(mask, false);
        if (conditions.mask.empty()) continue;
        found->of_step[s] = visited(conditions, given_.x[s], num_qubits_, lane_bits, found->next);
        if (conditions.contradict) found->of_step[s].count = 0;
    }
    begin.push_back(found->next.size());
    for (size_t s = 0; s < num_steps(); ++s)
        if (begin[s] < begin[s + 1]) found->of_step[s].next = found->next.data() + begin[s];
    return found;
}

// What is reached from |0> after a step, if it was so before it.
void Steps::reach(size_t s, Span& reached) const {
    if (int(reached.dimension()) == num_qubits_) return;
    if (!is_dense(given_.kind[s])) {
        reached.add_if_independent(given_.x[s]);
        return;
    }
    for (auto q = size_t(given_.qubit_begin[s]); q < size_t(given_.qubit_begin[s + 1]); ++q)
        reached.add_if_independent(given_.qubit_flip[q]);
}

template <class Real>
const Derived<Steps::Laid<Real>>& Steps::slot() const {
    if constexpr (std::is_same_v<Real, float>)
        return single_;
    else
        return double_;
}

template <class Real>
StepsView<Real> Steps::view(int lane_bits) const {
    const Laid<Real>& laid_out = slot<Real>().get([&] { return laid<Real>(); });
    const Controls& visits = controls_[size_t(lane_bits)].get([&] { return controls(lane_bits); });
    return {laid_out.step.data(), visits.of_step.data(), int32_t(num_steps()), most_rows()};
}

bool Steps::hold_matrices() const { return std::any_of(given_.kind.begin(), given_.kind.end(), is_dense); }

int Steps::most_rows() const {
    int most = 0;
    for (size_t s = 0; s < num_steps(); ++s)
        if (given_.kind[s] == step_matrix) most = std::max(most, 1 << bits(s));
    return most;
}

// Calls visit(step, count) with the complex products that each step takes for an amplitude.
template <class Visit>
void Steps::for_each_product(Visit visit) const {
    Span reached;
    for (size_t s = 0; s < num_steps(); ++s) {
        reach(s, reached);
        // Rotations that are controlled touch some of the amplitudes, those that come first what is reached; rotations
        // about Z in a row are one pass.
        const int unreached = num_qubits_ - int(reached.dimension());
        const bool is_next = s > 0 && given_.kind[s] == step_z && given_.kind[s - 1] == step_z && unreached == 0;
        visit(s, given_.kind[s] == step_matrix     ? double(given_.columns[s])
                 : given_.kind[s] == step_diagonal ? 4.0
                 : is_next                         ? tuning::next_diagonal
                                                   : std::ldexp(1.0, -bits(s) - unreached));
    }
}

double Steps::products_spread(int at_once, double rotation) const {
    double count = 0;
    for_each_product([&](size_t s, double products) {
        if (given_.kind[s] != step_matrix) {
            count += rotation * products;
            return;
        }
        // Of a few cosets, some lanes are empty.
        const double unused = double(at_once) / std::min(double(at_once), double(1 << (num_qubits_ - bits(s))));
        count += products * unused * (tuning::spread_product + std::ldexp(tuning::spread_column, -bits(s)));
    });
    return count / at_once;
}

int Steps::first_wanted(const uint8_t* wanted_angle) const {
    size_t s = 0;
    while (s < num_steps() && (given_.kind[s] == step_matrix || !wanted_angle[given_.angle[s]])) ++s;
    return int(s);
}

template size_t Steps::bytes<float>() const;
template size_t Steps::bytes<double>() const;
template StepsView<float> Steps::view<float>(int) const;
template StepsView<double> Steps::view<double>(int) const;

}  // namespace qtm
