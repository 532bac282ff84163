// What a model of costs needs to know of a family of processors.
#pragma once

namespace qtm::tuning {

// Times are for each amplitude, in units of their own: only ratios within an instruction set matter.
struct Costs {
    // From 256 kB of ket on, a batched tile becomes up to 2.5 times slower while it grows by so many bytes.
    double bytes_of_penalty;
    // A tile in vectors half as wide, to one that fills as many lanes of whole vectors.
    double half_vector;
    // Halves that stay apart wait for memory as if they were so many times larger, as what is made of them to read
    // words goes through the caches as well.
    double unjoined;
};

}  // namespace qtm::tuning
