#pragma once
// A model for runs without a server: opened in this process, behind the same API that a server's
// steps ask, on a loopback port that nobody is told of.

#include <memory>
#include <string>

#include "app/command.h"

namespace app {

class LocalModels {
public:
    /// Opens models.model. Errors: those of locate_model, open_model and of listening.
    static base::Result<std::unique_ptr<LocalModels>> open(const Program& program);
    ~LocalModels();

    /// Up to and with /v1.
    const std::string& url() const;

private:
    struct Impl;
    explicit LocalModels(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace app
