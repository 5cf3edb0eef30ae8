#pragma once
// Images made on the spot: tars from entries, layouts from tars.

#include <fmt/format.h>
#include <sys/stat.h>
#include <zstd.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files/files.h"
#include "base/files/sha256.h"
#include "base/json/json.h"
#include "sphere/files/gzip_stream.h"
#include "sphere/files/tar_format.h"
#include "sphere/images/image_store.h"
#include "support/temp_dir.h"

namespace test {

namespace json = base::json;

class TarText {
public:
    TarText& add(sphere::files::TarHead head, std::string_view content = "") {
        head.bytes = content.size();
        text_ += sphere::files::tar_head(head);
        text_ += content;
        text_ += sphere::files::tar_padding(content.size());
        return *this;
    }
    TarText& file(const std::string& name, std::string_view content, std::uint32_t mode = 0644) {
        return add({.name = name, .mode = mode}, content);
    }
    TarText& folder(const std::string& name, std::uint32_t mode = 0755) {
        return add({.name = name + "/", .type = '5', .mode = mode});
    }
    TarText& link(const std::string& name, const std::string& target, char type = '2') {
        return add({.name = name, .link_target = target, .type = type});
    }
    std::string done() const { return text_ + sphere::files::tar_end(); }

private:
    std::string text_;
};

inline std::string gzipped(const std::string& plain) {
    std::string packed;
    sphere::files::GzipWriter writer;
    const auto keep = [&](std::string_view piece) -> base::Result<void> {
        packed += piece;
        return {};
    };
    static_cast<void>(writer.feed(plain, keep, true));
    return packed;
}

inline std::string zstd_packed(const std::string& plain) {
    std::string packed(ZSTD_compressBound(plain.size()), '\0');
    packed.resize(ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), 3));
    return packed;
}

/// What `docker save` wrote before it wrote layouts.
struct SavedImage {
    std::vector<std::string> layers;  ///< tars
    json::object config = {};
    std::string architecture = sphere::images::this_architecture();

    std::string config_text() const {
        json::array contents;
        for (const std::string& layer : layers) {
            contents.push_back(json::string("sha256:" + base::sha256_hex(layer)));
        }
        return base::to_text(
            json::object{{"architecture", architecture},
                         {"os", "linux"},
                         {"config", config},
                         {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(contents)}}}});
    }
    static std::string folder(std::size_t i) { return base::sha256_hex(std::to_string(i)); }
    json::object entry() const {
        json::array names;
        for (std::size_t i = 0; i < layers.size(); ++i) {
            names.push_back(json::string(folder(i) + "/layer.tar"));
        }
        return {{"Config", base::sha256_hex(config_text()) + ".json"},
                {"RepoTags", json::array{"test:1"}},
                {"Layers", std::move(names)}};
    }
    /// Layers as `pack` makes them of their tars.
    std::string archive(const std::function<std::string(const std::string&)>& pack = {}) const {
        TarText tar;
        for (std::size_t i = 0; i < layers.size(); ++i) {
            tar.folder(folder(i)).file(folder(i) + "/VERSION", "1.0");
            tar.file(folder(i) + "/layer.tar", pack ? pack(layers[i]) : layers[i]);
        }
        tar.file(base::sha256_hex(config_text()) + ".json", config_text());
        tar.file("manifest.json", base::to_text(json::array{entry()}));
        return tar.file("repositories", "{}").done();
    }
};

/// An OCI image layout, blob by blob.
class LayoutFolder {
public:
    explicit LayoutFolder(std::string folder) : folder_(std::move(folder)) {
        static_cast<void>(base::make_dirs(folder_ + "/blobs/sha256"));
        write("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    }
    const std::string& folder() const { return folder_; }
    void write(const std::string& name, const std::string& text) const {
        write_text(folder_ + "/" + name, text);
    }
    json::object blob(const std::string& content, std::string_view type) const {
        const std::string digest = base::sha256_hex(content);
        write("blobs/sha256/" + digest, content);
        return {{"mediaType", type}, {"digest", "sha256:" + digest}, {"size", content.size()}};
    }
    /// A manifest's descriptor; its layers are plain or gzip as their bytes are.
    json::object manifest(const std::vector<std::string>& layers, const json::object& config = {},
                          std::string_view architecture = "") const {
        const std::string machine(architecture.empty() ? sphere::images::this_architecture()
                                                       : std::string(architecture));
        json::array list;
        for (const std::string& layer : layers) {
            list.push_back(blob(layer, "application/vnd.oci.image.layer.v1.tar"));
        }
        const json::object described = {
            {"architecture", machine}, {"os", "linux"}, {"config", config}};
        const json::object body = {
            {"schemaVersion", 2},
            {"config", blob(base::to_text(described), "application/vnd.oci.image.config.v1+json")},
            {"layers", std::move(list)}};
        json::object made = blob(base::to_text(body), "application/vnd.oci.image.manifest.v1+json");
        made["platform"] = json::object{{"architecture", machine}, {"os", "linux"}};
        return made;
    }
    void index(json::array manifests) const {
        write("index.json", base::to_text(json::object{{"schemaVersion", 2},
                                                       {"manifests", std::move(manifests)}}));
    }
    /// All of it for one platform.
    const std::string& image(const std::vector<std::string>& layers,
                             const json::object& config = {}) const {
        index({manifest(layers, config)});
        return folder_;
    }

private:
    const std::string folder_;
};

}  // namespace test
