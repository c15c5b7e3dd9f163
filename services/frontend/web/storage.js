// Gives each participant's page a browser storage of its own.
//
// Every web UI of the workshop has the same origin, and the stock page keeps unsaved graphs, tabs and panels in the
// browser's storage without the path: whoever opens a second participant's page would see the first one's work. This
// script runs before anything else and puts the participant's name in front of every key. It wraps the web platform's
// own objects and knows nothing of the page, so that a new version of the page changes nothing here.
(() => {
  const participant = document.currentScript.dataset.participant;
  const prefix = `comfyume/${participant}/`;
  const partitions = new Map();

  const ownKeys = (real) => Object.keys(real).filter((key) => key.startsWith(prefix));

  function partition(real) {
    const methods = {
      getItem: (key) => real.getItem(prefix + key),
      setItem: (key, value) => real.setItem(prefix + key, value),
      removeItem: (key) => real.removeItem(prefix + key),
      clear: () => ownKeys(real).forEach((key) => real.removeItem(key)),
      key: (index) => ownKeys(real)[index]?.slice(prefix.length) ?? null,
    };
    const isKey = (name) => typeof name === "string" && !(name in methods) && name !== "length";
    const proxy = new Proxy(Object.create(Storage.prototype), {
      get(target, name) {
        if (name === "length") return ownKeys(real).length;
        if (name in methods) return methods[name];
        if (isKey(name) && !(name in Storage.prototype)) return real.getItem(prefix + name) ?? undefined;
        return Reflect.get(target, name);
      },
      set(target, name, value) {
        if (isKey(name)) real.setItem(prefix + name, value);
        return true;
      },
      deleteProperty(target, name) {
        if (isKey(name)) real.removeItem(prefix + name);
        return true;
      },
      has: (target, name) => name in methods || (isKey(name) && real.getItem(prefix + name) !== null),
      ownKeys: () => ownKeys(real).map((key) => key.slice(prefix.length)),
      getOwnPropertyDescriptor(target, name) {
        const value = isKey(name) ? real.getItem(prefix + name) : null;
        return value === null ? undefined : { value, writable: true, enumerable: true, configurable: true };
      },
    });
    partitions.set(real, proxy);
    return proxy;
  }

  const session = window.sessionStorage;
  for (const name of ["localStorage", "sessionStorage"]) {
    const own = partition(window[name]);
    Object.defineProperty(window, name, { configurable: true, enumerable: true, get: () => own });
  }

  // A script may announce a change itself, naming a storage: the platform takes only its own object there.
  const PlatformStorageEvent = window.StorageEvent;
  window.StorageEvent = class StorageEvent extends PlatformStorageEvent {
    constructor(type, init = {}) {
      super(type, { ...init, storageArea: null });
      Object.defineProperty(this, "storageArea", { value: init.storageArea ?? null });
    }
  };

  // Other tabs' changes: the own ones with the name taken off again, those of other participants not at all.
  window.addEventListener(
    "storage",
    (event) => {
      if (!event.isTrusted) return;
      event.stopImmediatePropagation();
      if (event.key !== null && !event.key.startsWith(prefix)) return;
      const { oldValue, newValue, url } = event;
      const key = event.key === null ? null : event.key.slice(prefix.length);
      const storageArea = partitions.get(event.storageArea) ?? null;
      window.dispatchEvent(new window.StorageEvent("storage", { key, oldValue, newValue, url, storageArea }));
    },
    true,
  );

  // The page keeps its connection's id in the tab's name, which survives a change of address.
  if (session.getItem("comfyume/last") !== participant) window.name = "";
  session.setItem("comfyume/last", participant);

  if (window.indexedDB) {
    const open = IDBFactory.prototype.open;
    const remove = IDBFactory.prototype.deleteDatabase;
    const list = IDBFactory.prototype.databases;
    IDBFactory.prototype.open = function (name, ...rest) {
      return open.call(this, prefix + name, ...rest);
    };
    IDBFactory.prototype.deleteDatabase = function (name) {
      return remove.call(this, prefix + name);
    };
    if (list) {
      IDBFactory.prototype.databases = async function () {
        const all = await list.call(this);
        return all
          .filter((entry) => entry.name?.startsWith(prefix))
          .map((entry) => ({ ...entry, name: entry.name.slice(prefix.length) }));
      };
    }
  }

  if (window.CacheStorage) {
    for (const method of ["open", "has", "delete"]) {
      const original = CacheStorage.prototype[method];
      CacheStorage.prototype[method] = function (name) {
        return original.call(this, prefix + name);
      };
    }
  }

  if (window.BroadcastChannel) {
    const Channel = window.BroadcastChannel;
    window.BroadcastChannel = class extends Channel {
      constructor(name) {
        super(prefix + name);
      }
    };
  }
})();
