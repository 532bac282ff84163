#include "cgroup.hpp"

#include <fstream>
#include <sstream>

namespace qtm {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
    return parts;
}

bool lists(const std::string& names, const std::string& name) {
    for (const std::string& one : split(names, ','))
        if (one == name) return true;
    return false;
}

// The group that this process is in, as a path in the hierarchy of the controller; or none. A line of /proc/self/cgroup
// is number:controllers:path, without number and controllers ("0::path") for version 2.
std::optional<std::string> own_group(const std::string& root, const std::string& controller, int version) {
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string names = line.substr(first + 1, second - first - 1);
        if (version == 2 ? names.empty() && line.substr(0, first) == "0" : lists(names, controller))
            return line.substr(second + 1);
    }
    return std::nullopt;
}

// Where a hierarchy is mounted, and which group of it stands there.
struct Mount {
    std::string group, folder;
    int version;
};

// A line of /proc/self/mountinfo: id parent device group folder options [optional ...] - type source superoptions.
std::vector<Mount> mounts(const std::string& root, const std::string& controller) {
    std::vector<Mount> found;
    std::ifstream file(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        const size_t dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        const auto left = split(line.substr(0, dash), ' '), right = split(line.substr(dash + 3), ' ');
        if (left.size() < 5 || right.size() < 3) continue;
        if (right[0] == "cgroup2")
            found.push_back({left[3], root + left[4], 2});
        else if (right[0] == "cgroup" && lists(right[2], controller))
            found.push_back({left[3], root + left[4], 1});
    }
    return found;
}

// The path of a group below that at a mount; "" if it is that one, or is not seen from here.
std::string below(const std::string& group, const std::string& mounted) {
    const std::string base = mounted == "/" ? "" : mounted;
    if (group.compare(0, base.size(), base) != 0 || group.find("..") != std::string::npos) return "";
    const std::string rest = group.substr(base.size());
    return rest == "/" || (!rest.empty() && rest[0] != '/') ? "" : rest;
}

}  // namespace

std::vector<ControlGroup> control_groups(const std::string& root, const std::string& controller) {
    std::vector<ControlGroup> found;
    for (const Mount& mount : mounts(root, controller)) {
        const auto group = own_group(root, controller, mount.version);
        if (!group) continue;
        for (std::string path = below(*group, mount.group); !path.empty(); path.erase(path.rfind('/')))
            found.push_back({mount.folder + path, mount.version});
        found.push_back({mount.folder, mount.version});
    }
    return found;
}

std::optional<std::string> first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    return line;
}

}  // namespace qtm
