#pragma once
// Files of a box over HTTP: /v1/sandboxes/{id}/files/{path...}, /archive and /watch. Every name is
// resolved beneath the workspace (files/workspace.h), and asked of Sphere::admit_file before.

#include <cstdint>

#include "base/api/call_pool.h"
#include "sphere/files/archive.h"
#include "sphere/http/watch_streams.h"
#include "sphere/sphere.h"

namespace sphere {

struct FileRoutesOptions {
    std::size_t transfers = 4;       ///< uploads and downloads at a time; each has a thread
    std::size_t transfers_max = 64;  ///< waiting for one; then 429
    std::uint64_t upload_bytes_max = 4ull << 30;  ///< the workspace's own size binds earlier
    std::size_t entries_max = 10'000;             ///< of a listing
    files::ArchiveLimits archive;
    std::size_t watches_max = 64;
};

class FileRoutes {
public:
    /// `sphere` and `calls` outlive it.
    FileRoutes(Sphere& sphere, base::api::CallPool& calls, const FileRoutesOptions& options);

    void register_routes(base::http::Router& router);
    /// After the server's stop. Idempotent.
    void stop();

private:
    using Request = base::http::Request;
    using ResponderPtr = base::http::ResponderPtr;
    using Response = base::http::Response;

    /// The box's files, once the use is admitted.
    base::Result<files::Workspace> admit(const Request& request, FileAccess::Kind kind,
                                         std::string_view name, std::uint64_t bytes = 0);
    void get(const Request& request, const ResponderPtr& responder);
    base::Result<void> send_file(const Request& request, const ResponderPtr& responder, int file,
                                 std::uint64_t size);
    base::Result<Response> list(const Request& request, files::Workspace& workspace,
                                const std::string& name);
    base::Result<Response> put(const Request& request, base::http::RequestBody& body);
    base::Result<Response> remove(const Request& request);
    base::Result<Response> change(const Request& request);
    void get_archive(const Request& request, const ResponderPtr& responder);
    base::Result<Response> put_archive(const Request& request, base::http::RequestBody& body);
    base::Result<void> watch(const Request& request, const ResponderPtr& responder);

    Sphere& sphere_;
    base::api::CallPool& calls_;
    const FileRoutesOptions options_;
    base::api::CallPool transfers_;
    WatchStreams watches_;
};

}  // namespace sphere
