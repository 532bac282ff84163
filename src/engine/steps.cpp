#include "steps.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "parity.hpp"
#include "program.hpp"
#include "require.hpp"

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
}

void Steps::check_sizes(size_t num_angles) const {
    const StepArrays& a = given_;
    require(a.angle.size() == num_steps() && a.x.size() == num_steps() && a.z.size() == num_steps() &&
                a.columns.size() == num_steps(),
            "steps");
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
    if (!is_dense(kind)) {
        require(begin == end && count == 0, "a rotation has no entries");
        require((kind == step_z) == (a.x[s] == 0), "a rotation about X or Y flips, one about Z does not");
        require(kind != step_y || odd(a.x[s] & a.z[s]), "a rotation about Y");
        return;
    }
    require(begin < end && end - begin <= num_qubits_, "qubits of a step");
    for (int32_t q = begin; q < end; ++q)
        for (int32_t other = begin; other < end; ++other)
            require(odd(a.qubit_flip[size_t(q)] & a.qubit_sign[size_t(other)]) == (q == other),
                    "qubits of a step must be independent");
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
    found->view.step = found->step.data();
    found->view.num_steps = int32_t(num_steps());
    found->view.most_rows = most_rows();
    return found;
}

template <class Real>
const Derived<Steps::Laid<Real>>& Steps::slot() const {
    if constexpr (std::is_same_v<Real, float>)
        return single_;
    else
        return double_;
}

template <class Real>
const StepsView<Real>& Steps::view() const {
    return slot<Real>().get([&] { return laid<Real>(); }).view;
}

int Steps::most_rows() const {
    int most = 0;
    for (size_t s = 0; s < num_steps(); ++s)
        if (given_.kind[s] == step_matrix) most = std::max(most, 1 << bits(s));
    return most;
}

double Steps::products(int cosets) const {
    double count = 0;
    for (size_t s = 0; s < num_steps(); ++s) {
        const double unused = double(cosets) / std::min(double(cosets), double(1 << (num_qubits_ - bits(s))));
        count += given_.kind[s] == step_matrix ? given_.columns[s] * unused : given_.kind[s] == step_diagonal ? 4 : 1;
    }
    return count;
}

int Steps::first_wanted(const uint8_t* wanted_angle) const {
    size_t s = 0;
    while (s < num_steps() && (given_.kind[s] == step_matrix || !wanted_angle[given_.angle[s]])) ++s;
    return int(s);
}

template size_t Steps::bytes<float>() const;
template size_t Steps::bytes<double>() const;
template const StepsView<float>& Steps::view<float>() const;
template const StepsView<double>& Steps::view<double>() const;

}  // namespace qtm
