/** The paths of the page: what it reads, and its actions. */
import type { Action } from '../../http/actions.js';
import { json, type Answer } from '../../http/answer.js';
import { healthRoute } from '../../http/health.js';
import type { Route } from '../../http/page.js';
import { errorText } from '../../kit/error-text.js';
import type { JsonRecord } from '../../kit/json-record.js';
import { parseAmount } from '../amount.js';
import type { OfferFilter } from '../market/offers.js';
import { parseSpeed } from '../market/units.js';
import { DeskError, type Desk } from './desk.js';

const MAX_DAYS = 3_660;

class FieldError extends Error {
  override readonly name = 'FieldError';
}

const textOf = (body: JsonRecord, name: string): string | undefined => {
  const value = body[name];
  if (value === undefined || value === '') return undefined;
  if (typeof value === 'string' && value.length <= 400) return value;
  throw new FieldError(`${name} is not a text`);
};

/** The filter of section 3.2 as the page sends it. Throws a FieldError. */
export function filterOf(body: JsonRecord): OfferFilter {
  const type = textOf(body, 'type');
  const country = textOf(body, 'country');
  const cost = textOf(body, 'maxCost');
  const speed = textOf(body, 'minSpeed');
  const maxPricePerDay = cost === undefined ? undefined : parseAmount(cost);
  const minKbps = speed === undefined ? undefined : parseSpeed(speed);
  if (type !== undefined && type !== 'vpn' && type !== 'proxy') {
    throw new FieldError('the type is vpn or proxy');
  }
  if (country !== undefined && !/^[A-Za-z]{2}$/.test(country)) {
    throw new FieldError('the country has two letters, such as AU');
  }
  if (cost !== undefined && maxPricePerDay === undefined) {
    throw new FieldError('the cost is a decimal number of LTHN for a day, such as 0.5');
  }
  if (speed !== undefined && minKbps === undefined) {
    throw new FieldError('the speed has a unit, such as 10mbps');
  }
  return {
    keepUnknown: body['keepUnknown'] === true,
    ...(type === undefined ? {} : { type }),
    ...(country === undefined ? {} : { country }),
    ...(maxPricePerDay === undefined ? {} : { maxPricePerDay }),
    ...(minKbps === undefined ? {} : { minKbps }),
  };
}

function daysOf({ days }: JsonRecord): number | undefined {
  if (days === undefined) return undefined;
  if (typeof days === 'number' && Number.isInteger(days) && days >= 1 && days <= MAX_DAYS) {
    return days;
  }
  throw new FieldError(`the days are a whole number from 1 to ${MAX_DAYS}`);
}

function neededText(body: JsonRecord, name: string): string {
  const text = textOf(body, name);
  if (text === undefined) throw new FieldError(`${name} is missing`);
  return text;
}

/** 400 for a wrong field, 409 for the wrong moment, 502 for what another program said. */
function guarded(desk: Desk, act: (body: JsonRecord) => Promise<void> | void): Action {
  return async (body): Promise<Answer> => {
    try {
      await act(body);
      return json(200, desk.view());
    } catch (error) {
      const code = error instanceof FieldError ? 400 : error instanceof DeskError ? 409 : 502;
      return json(code, { error: errorText(error) });
    }
  };
}

export function deskRoutes(desk: Desk): ReadonlyMap<string, Route> {
  return new Map<string, Route>([
    ['/status', () => json(200, desk.view())],
    ['/healthz', healthRoute(() => ({ ok: true }))],
  ]);
}

export function deskActions(desk: Desk): ReadonlyMap<string, Action> {
  return new Map<string, Action>([
    ['/browse', guarded(desk, (body) => desk.browse(filterOf(body), body['fresh'] === true))],
    ['/select', guarded(desk, (body) => desk.select(neededText(body, 'link'), daysOf(body)))],
    ['/pay', guarded(desk, ({ pay, question }) => desk.decide(pay === true, question))],
    ['/cancel', guarded(desk, () => desk.cancel())],
    ['/disconnect', guarded(desk, (body) => desk.disconnect(neededText(body, 'key')))],
    ['/wallet', guarded(desk, () => desk.lookAtWallet())],
  ]);
}
