// Building and renewing the page. Text from outside only ever becomes a text node or an attribute's value.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Attributes that are `null`, `undefined` or `false` are left out; so are such children. */
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  const add = (child) => {
    if (Array.isArray(child)) child.forEach(add);
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== undefined && child !== false) element.append(String(child));
  };
  children.forEach(add);
  return element;
}

/** Makes the children of `parent` equal to `fresh`, keeping what is the same: focus, selection and open details stay. */
export function renew(parent, ...fresh) {
  const holder = document.createElement(parent.nodeName);
  holder.append(...fresh.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  renewChildren(parent, holder);
}

function renewChildren(parent, fresh) {
  const keyed = new Map();
  for (const child of parent.children) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let place = parent.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = wanted.dataset?.key;
    const known = key === undefined ? likeness(place, wanted) : keyed.get(key);
    if (known && known.nodeName === wanted.nodeName) {
      if (known === place) place = place.nextSibling;
      else parent.insertBefore(known, place);
      renewNode(known, wanted);
    } else {
      parent.insertBefore(wanted, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function likeness(place, wanted) {
  const alike = place && place.nodeName === wanted.nodeName && place.dataset?.key === undefined;
  return alike ? place : null;
}

function renewNode(node, wanted) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== wanted.data) node.data = wanted.data;
    return;
  }
  // Whether details are open is the reader's choice.
  const theirs = node.nodeName === "DETAILS" ? "open" : null;
  for (const { name } of [...node.attributes]) {
    if (name !== theirs && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== theirs && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  renewChildren(node, wanted);
}
