// What a tile keeps where: the legal ways, all of them.
#pragma once

#include <array>
#include <cstddef>

namespace qtm {

// What a tile is evaluated for, and so what its scratch must hold. The adjoint pass needs the ket after every sweep:
// it either keeps all of them or undoes them along with the bra.
enum class Mode { values, gradient_keeping_kets, gradient_undoing_kets };

// What a tape keeps from a forward call to the backward call that follows: angles, run factors, phase tables and what
// was measured; also kets, or the last one where kets are undone. The first backward call undoes it there: those that
// follow find the kets spent, and have kets in their scratch.
enum class Taped { nothing, all_but_kets, all, all_but_spent_kets };

// What the scratch of a thread holds.
struct Storage {
    Mode mode;
    bool shares_prefix;  // tiles start from, and add their bras up after, the layers that are the same for all
    Taped taped;
    bool is_team;            // the states belong to several threads
    bool saves_ket = false;  // kets that are undone are there again for the next adjoint pass

    bool operator==(const Storage&) const = default;
};

// Values need no kets on a tape; only kets that are undone are spent, or saved for a pass that no tape serves; the
// threads of a team go through every tile, and share no prefix of many.
constexpr bool is_legal(const Storage& s) {
    const bool undoes = s.mode == Mode::gradient_undoing_kets;
    if (s.mode == Mode::values && s.taped != Taped::nothing && s.taped != Taped::all_but_kets) return false;
    if (s.taped == Taped::all_but_spent_kets && !undoes) return false;
    if (s.saves_ket && (!undoes || s.taped != Taped::nothing)) return false;
    return !(s.is_team && s.shares_prefix);
}

// Calls visit(storage) for all combinations.
template <class Visit>
constexpr void for_each_storage(Visit visit) {
    for (const Mode mode : {Mode::values, Mode::gradient_keeping_kets, Mode::gradient_undoing_kets})
        for (const Taped taped : {Taped::nothing, Taped::all_but_kets, Taped::all, Taped::all_but_spent_kets})
            for (const bool shares_prefix : {false, true})
                for (const bool is_team : {false, true})
                    for (const bool saves_ket : {false, true})
                        visit(Storage{mode, shares_prefix, taped, is_team, saves_ket});
}

inline constexpr size_t num_legal_storages = [] {
    size_t count = 0;
    for_each_storage([&](const Storage& one) { count += is_legal(one); });
    return count;
}();

// 30 of 96.
inline constexpr std::array<Storage, num_legal_storages> legal_storages = [] {
    std::array<Storage, num_legal_storages> found{};
    size_t count = 0;
    for_each_storage([&](const Storage& one) {
        if (is_legal(one)) found[count++] = one;
    });
    return found;
}();

}  // namespace qtm
