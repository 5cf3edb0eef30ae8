#pragma once
// A command as the process that starts it wants it, and its refusals as a person wants them; for
// every backend that speaks the launcher's protocol.

#include <string>

#include "sphere/images/image_spec.h"
#include "sphere/launcher/protocol.h"
#include "sphere/sphere.h"

namespace sphere::native {

/// What follows a Start message: the working directory, the arguments, the variables.
struct Words {
    std::string text;
    std::uint32_t argc = 0, envc = 0;
};
/// What a command finds besides what its spec says.
struct Surroundings {
    const images::ImageConfig* image = nullptr;  ///< its variables and directory, unless others do
    std::string folder = {};  ///< at level process: the host's name of what else is "/"
    bool proxied = false;     ///< the egress broker serves it
};
/// Errors: payload_too_large.
base::Result<Words> make_words(const SandboxSpec& box, const Secrets& secrets, const ExecSpec& exec,
                               const Surroundings& around = {});

base::Error start_error(const launcher::StartFailed& failed, const ExecSpec& spec);

}  // namespace sphere::native
