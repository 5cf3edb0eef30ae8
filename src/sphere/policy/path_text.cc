#include "sphere/policy/path_text.h"

namespace sphere::policy {

using base::Code;
using base::Result;

Result<void> check_path_prefix(const std::string& prefix) {
    const auto normal = normal_path(prefix);
    if (normal && *normal == prefix) return {};
    return base::fail(Code::invalid_argument,
                      "'{}' is not an absolute path without '.', '..' and '/' at the end",
                      prefix.substr(0, 200));
}

Result<std::string> normal_path(std::string_view path) {
    const auto refused = [&](std::string_view why) {
        return base::fail(Code::invalid_argument, "'{}' {}", path.substr(0, 200), why);
    };
    if (path.empty()) return refused("is empty, expected a path");
    if (path.find('\0') != std::string_view::npos) return refused("holds a zero byte");
    if (path.front() == '~') return refused("begins with ~; name the folder");
    std::string out = path.front() == '/' ? "" : "/workspace";
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        const std::string_view part = path.substr(0, slash);
        path.remove_prefix(std::min(slash + 1, path.size()));
        if (part == "..") {
            return base::fail(Code::invalid_argument, "the path holds '..'; name it directly");
        }
        if (part.empty() || part == ".") continue;
        out += '/';
        out += part;
    }
    return out.empty() ? "/" : out;
}

bool is_beneath(std::string_view path, std::string_view prefix) {
    if (prefix == "/") return true;
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace sphere::policy
