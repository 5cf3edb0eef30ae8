#pragma once
// A model hub's HTTP interface: which files a repository has, and what a file is before it is
// fetched.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/http/client.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/pull_source.h"

namespace engine {

struct HubFile {
    std::string url;
    std::uint64_t bytes = 0;  ///< 0: the hub does not say
    std::string identity;     ///< ETag, else empty
    std::string sha256;       ///< when the ETag is one
};

/// Names of GGUF files to fetch, all shards in order, and why them.
struct HubChoice {
    std::vector<std::string> files;
    std::string reason;  ///< empty when the source named the file
};

class Hub {
public:
    /// `keep_going` is asked about ten times a second while waiting; false ends with `cancelled`.
    /// All three outlive this object.
    Hub(const base::HttpClient& client, const CatalogOptions& options,
        const std::function<bool()>& keep_going);

    /// The files of `source`: the one it names with all its shards, else by quantisation,
    /// `preferred` (may be empty) first. Errors: not_found (repository, or no GGUF that this engine
    /// runs: lists what there is), permission_denied (says how to get access), unavailable.
    base::Result<HubChoice> choose(const HubSource& source, const std::string& preferred) const;
    /// Errors: as choose.
    base::Result<HubFile> look_up(const HubSource& source, const std::string& file) const;
    /// Authorization, when a token was given.
    base::HttpClient::Headers headers() const;

private:
    base::Result<std::vector<std::string>> list_files(const HubSource& source) const;
    base::Result<void> wait(std::uint64_t wait_ms) const;
    base::Result<base::HttpClient::Response> ask(const base::HttpClient::Request& request,
                                                 const HubSource& source,
                                                 const std::string& file) const;

    const base::HttpClient& client_;
    const CatalogOptions& options_;
    const std::function<bool()>& keep_going_;
};

/// `files` sorted for running here, best first: `preferred` (a quantisation name, may be empty),
/// then Q4_K_M and its neighbours, then larger and smaller ones. Files that are no models by
/// themselves or have types this engine lacks are left out; of shards only the first stays.
std::vector<std::string> rank_gguf_files(std::vector<std::string> files,
                                         const std::string& preferred);

}  // namespace engine
