// The control groups of Linux that this process is in: how containers are given their share of a machine.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace qtm {

struct ControlGroup {
    std::string folder;
    int version;  // 1 or 2: the names of the files differ
};

// Those that may limit `controller` ("memory", "cpu"), from its own up to the highest one that can be seen: a limit
// holds for all groups below. Elsewhere none. For `root` see `memory_limit`.
std::vector<ControlGroup> control_groups(const std::string& root, const std::string& controller);

// The first words of a file, if it can be read; no longer than a line.
std::optional<std::string> first_line(const std::string& path);

}  // namespace qtm
