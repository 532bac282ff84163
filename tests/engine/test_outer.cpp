// Joins of two halves in vectors that hold amplitudes of one sample, against sums of single products.
#include <bit>
#include <complex>
#include <random>
#include <vector>

#include "check.hpp"
#include "isa/body.hpp"

using namespace qtm;

namespace {

using Number = std::complex<double>;

// States of random amplitudes, as many as there are; read one by one.
template <class Real, int lanes>
class State {
   public:
    State(size_t size, std::mt19937& random) : vectors_((size + lanes - 1) / lanes) {
        std::uniform_real_distribution<Real> amplitude(-0.5, 0.5);
        for (Complex<Real, lanes>& vector : vectors_)
            for (int lane = 0; lane < lanes; ++lane) {
                vector.re[lane] = amplitude(random);
                vector.im[lane] = amplitude(random);
            }
    }
    Complex<Real, lanes>* data() { return vectors_.data(); }
    Number operator[](size_t index) const {
        const Complex<Real, lanes>& vector = vectors_[index / lanes];
        return {double(vector.re[index % lanes]), double(vector.im[index % lanes])};
    }

   private:
    std::vector<Complex<Real, lanes>> vectors_;
};

// The largest error of a join and of its adjoint over rows `begin` to `end` - 1.
template <class Real, int lanes>
double error(int row_bits, int rows_bits, int glue_bits, size_t begin, size_t end) {
    using Sums = Outer<Real, lanes>;
    ProgramView low_half{}, high_half{}, program{};
    program.glue_bits = glue_bits;
    low_half.num_qubits = std::countr_zero(unsigned(lanes)) + row_bits + glue_bits;
    high_half.num_qubits = rows_bits + glue_bits;
    program.half[0] = &low_half;
    program.half[1] = &high_half;
    const typename Sums::Shape shape(program);
    const size_t row = shape.row * lanes, rows = shape.rows, branches = shape.branches;
    const double scale = double(shape.scale);

    std::mt19937 random(7);
    State<Real, lanes> low(branches * row, random), high(branches * rows, random), state(rows * row, random),
        low_bra(branches * row, random), high_bra(branches * rows, random);
    const State<Real, lanes> low_before = low_bra;
    double worst = 0;
    const auto compare = [&](Number found, Number expected) { worst = std::max(worst, std::abs(found - expected)); };

    Sums::split(shape, begin, end, low.data(), high.data(), state.data(), low_bra.data(), high_bra.data(), true);
    for (size_t c = 0; c < branches; ++c) {
        for (size_t j = begin; j < end; ++j) {
            Number sum = 0;
            for (size_t i = 0; i < row; ++i) sum += std::conj(low[c * row + i]) * state[j * row + i];
            compare(high_bra[c * rows + j], scale * sum);
        }
        for (size_t i = 0; i < row; ++i) {
            Number sum = 0;
            for (size_t j = begin; j < end; ++j) sum += std::conj(high[c * rows + j]) * state[j * row + i];
            compare(low_bra[c * row + i], low_before[c * row + i] + scale * sum);
        }
    }
    Sums::join(shape, begin, end, low.data(), high.data(), state.data());
    for (size_t j = begin; j < end; ++j)
        for (size_t i = 0; i < row; ++i) {
            Number sum = 0;
            for (size_t c = 0; c < branches; ++c) sum += low[c * row + i] * high[c * rows + j];
            compare(state[j * row + i], scale * sum);
        }
    return worst;
}

// Rows and branches that do not fill a tile or a vector, and shares of a team that begin and end anywhere.
template <class Real, int lanes>
double worst_error() {
    double worst = 0;
    for (int row_bits : {0, 1, 3})
        for (int rows_bits : {0, 1, 2, 3, 5})
            for (int glue_bits = 0; glue_bits <= most_glue_bits; ++glue_bits) {
                const size_t rows = size_t(1) << rows_bits;
                for (size_t begin : {size_t(0), rows / 4, rows / 2})
                    for (size_t end : {rows, rows - rows / 4, rows / 2 + 1})
                        if (begin < end)
                            worst = std::max(worst, error<Real, lanes>(row_bits, rows_bits, glue_bits, begin, end));
            }
    return worst;
}

// As wide as vectors are where nothing is asked of the compiler.
void sums_of_single_precision() { CHECK((worst_error<float, 4>() < 2e-5)); }
void sums_of_double_precision() { CHECK((worst_error<double, 2>() < 1e-13)); }

}  // namespace

int main() { return check::run({TEST(sums_of_single_precision), TEST(sums_of_double_precision)}); }
