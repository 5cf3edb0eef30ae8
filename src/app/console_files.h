#pragma once
// Puts the embedded console on a server.

#include <string>
#include <vector>

#include "base/http/static_files.h"

namespace base::http {
class Server;
}

namespace app {

/// Must outlive the server it serves on.
class ConsoleFiles {
public:
    ConsoleFiles();
    /// Answers every GET that no route matches.
    void serve_on(base::http::Server& server) const;

private:
    std::vector<std::string> paths_;  ///< "/index.html": files_ points into these
    std::vector<base::http::StaticFile> files_;
    base::http::StaticFiles handler_;
};

}  // namespace app
