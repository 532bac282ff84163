// Runs the engine without Python, to test builds for other processors under an emulator: reads a program and a batch
// from a text file, prints values and gradients in both precisions and both layouts.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "../../src/engine/dispatch.hpp"
#include "../../src/engine/evaluate.hpp"

namespace {

template <class Scalar>
std::vector<Scalar> read(std::istream& in, const std::string& name) {
    std::string found;
    size_t count = 0;
    in >> found >> count;
    if (found != name) throw std::runtime_error("expected " + name + ", got " + found);
    std::vector<Scalar> values(count);
    for (Scalar& value : values) in >> value;
    return values;
}

qtm::ProgramArrays read_program(std::istream& in) {
    qtm::ProgramArrays a;
    const auto sizes = read<int32_t>(in, "sizes");
    a.num_qubits = sizes[0];
    a.num_inputs = sizes[1];
    a.num_weights = sizes[2];
#define QTM_READ(Scalar, name) a.name = read<Scalar>(in, #name);
    QTM_PROGRAM_ARRAYS(QTM_READ)
#undef QTM_READ
    return a;
}

// The plan of a circuit, or of what follows its halves.
qtm::Plan read_plan(std::istream& in) {
    const auto glue = read<int32_t>(in, "glue");
    qtm::Plan::Halves halves{};
    for (size_t i = 0; i < 2 * glue.size(); ++i) {
        halves.glue_bits = glue[0];
        qtm::ProgramArrays half = read_program(in);
        half.is_half = true;
        halves.half[i] = std::make_unique<const qtm::Plan>(std::move(half));
    }
    return qtm::Plan(read_program(in), std::move(halves));
}

template <class Real>
void evaluate(const qtm::Plan& plan, const std::vector<double>& inputs, const std::vector<double>& weights,
              const std::vector<double>& cotangent) {
    const qtm::ProgramView& program = plan.view();
    const std::vector<Real> x(inputs.begin(), inputs.end()), w(weights.begin(), weights.end()),
        c(cotangent.begin(), cotangent.end());
    const auto size = int64_t(c.size()) / program.num_observables;
    const qtm::Batch<Real> batch{x.data(), w.data(), size, 2};
    std::vector<Real> values(c.size()), input_gradient(x.size()), weight_gradient(w.size());
    const std::vector<uint8_t> wanted(size_t(program.num_inputs) + w.size(), 1);
    qtm::values<Real>(plan, batch, values.data());
    qtm::vector_jacobian_product<Real>(plan, batch, c.data(), qtm::Derivative::real, wanted.data(), nullptr,
                                       input_gradient.data(), weight_gradient.data());
    for (const auto* found : {&values, &input_gradient, &weight_gradient})
        for (const Real value : *found) std::printf("%.17g ", double(value));
    std::printf("\n");
}

}  // namespace

int main(int, char** arguments) {
    std::ifstream in(arguments[1]);
    const qtm::Plan plan = read_plan(in);
    const auto inputs = read<double>(in, "inputs"), weights = read<double>(in, "weights"),
               cotangent = read<double>(in, "cotangent");
    std::cout << qtm::implementation().name << std::endl;
    for (const auto layouts : {qtm::Layouts::batched, qtm::Layouts::spread}) {
        qtm::allow_layouts(layouts);
        evaluate<float>(plan, inputs, weights, cotangent);
        evaluate<double>(plan, inputs, weights, cotangent);
        std::fflush(stdout);
    }
}
