#pragma once
// What else starts programs on this machine: plain spawn, bubblewrap, crun and runsc, each as it is
// called by hand. One that does not run here is left out, loudly.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/files/unique_fd.h"

namespace bench {

/// Runs `words` and returns what it printed; nothing when it failed. `mounts`: the mount namespace
/// to run it in, or -1.
std::optional<std::string> run_words(const std::vector<std::string>& words, int mounts = -1);

class Peers {
public:
    /// `folder` is for bundles; `work`: the program that Peers::work runs.
    Peers(const std::string& folder, const std::string& work);

    const std::vector<std::string>& names() const { return names_; }
    /// Runs one of the commands below by the peer, to its end. Nothing when it failed.
    std::optional<std::string> run(const std::string& peer, const std::string& command);
    static constexpr const char* kTrue = "true";       ///< /usr/bin/true
    static constexpr const char* kPython = "python3";  ///< /usr/bin/python3 -c pass
    static constexpr const char* kWork = "work";

private:
    std::vector<std::string> words(const std::string& peer, const std::string& command);

    const std::string folder_;
    std::map<std::string, std::vector<std::string>> commands_;
    std::map<std::string, std::vector<std::string>> before_;  ///< by peer
    base::UniqueFd without_groups_;
    std::vector<std::string> names_;
    int next_ = 0;
};

}  // namespace bench
