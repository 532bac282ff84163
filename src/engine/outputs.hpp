// What is read from the final ket, and the bra that starts the way back. Included by isa/*.cpp.
//
// An output is two functions: `read` writes the values of a tile, `seed` makes, of cotangents of values, the bra b for
// which Im<b|P|k> is the gradient of a rotation about P. A further output has its case in each of them.

template <class Real, int lanes, int lane_bits>
struct Outputs {
    using C = Complex<Real, lanes>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using OfObservables = Observable<Real, lanes, lane_bits>;
    using OfState = Amplitudes<Real, lanes, lane_bits, Numbers::parts>;
    using OfProbabilities = Amplitudes<Real, lanes, lane_bits, Numbers::probability>;

    static void read(const Tile<Real>& tile, Space& space, const C* ket) {
        switch (tile.program->output) {
            case Output::expectation_values:
                return OfObservables::read(tile, space, ket);
            case Output::state:
                return OfState::read(tile, space, ket);
            case Output::probabilities:
                return OfProbabilities::read(tile, space, ket);
        }
    }

    // Sees the ket before anything is undone; gradients of angles that no rotation has are added here.
    static void seed(const Tile<Real>& tile, Space& space, const C* ket, C* bra) {
        switch (tile.program->output) {
            case Output::expectation_values:
                return OfObservables::seed(tile, space, ket, bra);
            case Output::state:
                return OfState::seed(tile, space, ket, bra);
            case Output::probabilities:
                return OfProbabilities::seed(tile, space, ket, bra);
        }
    }

    // Whether `seed` does.
    static bool has_gradient(const Tile<Real>& tile) {
        return tile.program->output == Output::state && OfState::has_gradient(tile);
    }
};
