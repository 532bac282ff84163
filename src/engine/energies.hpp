// Sums of signs as numbers of basis states, worked out once.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace qtm {

// sum_z factor[z] (-1)^{z.i} for every basis state i: of equal sums there is one.
class Energies {
   public:
    using Terms = std::vector<std::pair<uint32_t, double>>;  // z and its factor

    explicit Energies(int num_qubits) : num_qubits_(num_qubits) {}
    // Where the numbers of a sum begin; -1: there is no room for them.
    int64_t add(Terms terms);

    const float* single_precision() const { return single_.data(); }
    const double* double_precision() const { return double_.data(); }

   private:
    int num_qubits_;
    std::map<Terms, int64_t> begin_;
    std::vector<float> single_;
    std::vector<double> double_;
};

}  // namespace qtm
