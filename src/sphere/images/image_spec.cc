#include "sphere/images/image_spec.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/files/files.h"
#include "base/files/sha256.h"
#include "base/json/json.h"

namespace sphere::images {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;

constexpr std::uint64_t kDocumentBytesMax = 4 << 20;
constexpr std::size_t kLayersMax = 256, kNestingMax = 4, kWordsMax = 4096;

constexpr std::string_view kIndexType = "application/vnd.oci.image.index.v1+json",
                           kDockerListType =
                               "application/vnd.docker.distribution.manifest.list.v2+json";

std::unexpected<base::Error> wrong(const std::string& where, std::string_view what) {
    return fail_on(where, Code::invalid_argument, "the image is not sound: {} {}", where, what);
}

struct Descriptor {
    std::string media_type, sha256, architecture, os;
    std::uint64_t bytes = 0;
};

std::string text_at(const json::object& object, std::string_view name) {
    const json::value* const value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

const json::array* array_at(const json::object& object, std::string_view name) {
    const json::value* const value = object.if_contains(name);
    return value != nullptr ? value->if_array() : nullptr;
}

bool is_digest(std::string_view text) {
    return text.size() == 64 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

Result<Descriptor> read_descriptor(const json::value& value, const std::string& where) {
    if (!value.is_object()) return wrong(where, "is no object");
    const json::object& object = value.get_object();
    Descriptor found;
    found.media_type = text_at(object, "mediaType");
    const std::string digest = text_at(object, "digest");
    if (!digest.starts_with("sha256:") || !is_digest(digest.substr(7))) {
        return wrong(where + ".digest", "is not sha256: and 64 hex digits");
    }
    found.sha256 = digest.substr(7);
    const json::value* const size = object.if_contains("size");
    if (size == nullptr || !size->is_int64() || size->get_int64() < 0) {
        return wrong(where + ".size", "is not a number of bytes");
    }
    found.bytes = static_cast<std::uint64_t>(size->get_int64());
    if (const json::value* const platform = object.if_contains("platform");
        platform != nullptr && platform->is_object()) {
        found.architecture = text_at(platform->get_object(), "architecture");
        found.os = text_at(platform->get_object(), "os");
    }
    return found;
}

std::vector<std::string> words(const json::object& object, std::string_view name) {
    std::vector<std::string> all;
    if (const json::array* const list = array_at(object, name)) {
        for (const json::value& word : *list) {
            if (word.is_string() && all.size() < kWordsMax) all.emplace_back(word.get_string());
        }
    }
    return all;
}

class Layout {
public:
    Layout(std::string folder, std::string architecture)
        : folder_(std::move(folder)), architecture_(std::move(architecture)) {}

    Result<ImageSpec> read() const {
        const json::object marker = DG_TRY(document(folder_ + "/oci-layout"));
        if (text_at(marker, "imageLayoutVersion") != "1.0.0") {
            return wrong("oci-layout", "does not say imageLayoutVersion 1.0.0");
        }
        return read_index(DG_TRY(document(folder_ + "/index.json")), "index.json", 0);
    }

private:
    static Result<json::object> document(const std::string& path) {
        return parse(DG_TRY(base::read_file(path, kDocumentBytesMax)), path);
    }
    static Result<json::object> parse(const std::string& text, const std::string& name) {
        auto value = base::parse_json(text);
        if (!value) return std::unexpected(std::move(value).error().with_context(name));
        if (!value->is_object()) return wrong(name, "is no JSON object");
        return std::move(value->get_object());
    }

    std::string blob_path(const std::string& sha256) const {
        return folder_ + "/blobs/sha256/" + sha256;
    }

    Result<json::object> blob(const Descriptor& descriptor, const std::string& where) const {
        if (descriptor.bytes > kDocumentBytesMax) return wrong(where, "is over 4 MiB");
        const std::string text =
            DG_TRY(base::read_file(blob_path(descriptor.sha256), kDocumentBytesMax));
        if (text.size() != descriptor.bytes) {
            return wrong(where, fmt::format("has {} bytes where {} are stated", text.size(),
                                            descriptor.bytes));
        }
        if (base::sha256_hex(text) != descriptor.sha256) {
            return wrong(where, "is not what its digest says");
        }
        return parse(text, where);
    }

    bool fits(const Descriptor& descriptor) const {
        return (descriptor.architecture.empty() || descriptor.architecture == architecture_) &&
               (descriptor.os.empty() || descriptor.os == "linux");
    }

    Result<ImageSpec> read_index(const json::object& index, const std::string& where,
                                 std::size_t depth) const {
        if (depth > kNestingMax) return wrong(where, "nests indexes too deep");
        const json::array* const manifests = array_at(index, "manifests");
        if (manifests == nullptr || manifests->empty()) return wrong(where, "names no manifest");
        std::string seen;
        for (std::size_t i = 0; i < manifests->size(); ++i) {
            const std::string at = fmt::format("{} manifests[{}]", where, i);
            const Descriptor each = DG_TRY(read_descriptor((*manifests)[i], at));
            if (!fits(each)) {
                seen += fmt::format(" {}/{}", each.os, each.architecture);
                continue;
            }
            const json::object content = DG_TRY(blob(each, at));
            if (each.media_type == kIndexType || each.media_type == kDockerListType ||
                content.contains("manifests")) {
                return read_index(content, at, depth + 1);
            }
            return read_manifest(content, each, at);
        }
        return fail_on("root.path", Code::not_found,
                       "the image has no manifest for linux/{}, only for{}", architecture_, seen);
    }

    Result<ImageSpec> read_manifest(const json::object& manifest, const Descriptor& own,
                                    const std::string& where) const {
        ImageSpec image;
        image.digest = own.sha256;
        const json::array* const layers = array_at(manifest, "layers");
        const json::value* const config = manifest.if_contains("config");
        if (layers == nullptr || config == nullptr) return wrong(where, "has no layers or config");
        if (layers->size() > kLayersMax) return wrong(where, "has over 256 layers");
        for (std::size_t i = 0; i < layers->size(); ++i) {
            const std::string at = fmt::format("layers[{}]", i);
            const Descriptor layer = DG_TRY(read_descriptor((*layers)[i], at));
            image.layers.push_back({blob_path(layer.sha256), layer.sha256, layer.bytes});
        }
        const Descriptor described = DG_TRY(read_descriptor(*config, "config"));
        DG_TRY(read_image_config(DG_TRY(blob(described, "config")), architecture_, image.config));
        return image;
    }

    const std::string folder_, architecture_;
};

}  // namespace

Result<void> read_image_config(const json::object& document, const std::string& wanted,
                               ImageConfig& config) {
    const std::string architecture = text_at(document, "architecture"),
                      os = text_at(document, "os");
    if ((!architecture.empty() && architecture != wanted) || (!os.empty() && os != "linux")) {
        return fail_on("root.path", Code::not_found,
                       "the image is for {}/{}; this machine is linux/{}", os, architecture,
                       wanted);
    }
    const json::value* const inner = document.if_contains("config");
    if (inner == nullptr || !inner->is_object()) return {};
    const json::object& object = inner->get_object();
    config.working_directory = text_at(object, "WorkingDir");
    config.user = text_at(object, "User");
    for (const std::string& line : words(object, "Env")) {
        const std::size_t equals = line.find('=');
        if (equals == 0 || equals == std::string::npos || line.find('\0') != std::string::npos) {
            return wrong("config.Env",
                         fmt::format("has '{}', which is no NAME=VALUE", line.substr(0, 64)));
        }
        config.environment[line.substr(0, equals)] = line.substr(equals + 1);
    }
    config.entrypoint = words(object, "Entrypoint");
    config.command = words(object, "Cmd");
    return {};
}

Result<ImageSpec> read_oci_layout(const std::string& folder, const std::string& architecture) {
    return Layout(folder, architecture).read();
}

Result<ImageSpec> read_rootfs_tarball(const std::string& path) {
    ImageSpec image;
    image.digest = DG_TRY(base::sha256_file(path));
    std::error_code failed;
    const std::uint64_t bytes = std::filesystem::file_size(path, failed);
    if (failed) return fail_on("root.path", Code::not_found, "{}: {}", path, failed.message());
    image.layers.push_back({path, image.digest, bytes});
    return image;
}

std::string this_architecture() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kNames = {
        {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"}, {"i686", "386"}}};
    utsname machine{};
    ::uname(&machine);
    for (const auto& [kernel, image] : kNames) {
        if (kernel == machine.machine) return std::string(image);
    }
    return machine.machine;
}

}  // namespace sphere::images
